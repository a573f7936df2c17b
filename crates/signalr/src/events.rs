//! Events with typed arguments: declared once, checked wherever they are sent.

use serde::de::DeserializeOwned;

use crate::protocol::Arguments;

/// What a server calls on its clients by one name with arguments of fixed
/// types: the typed counterpart of `send("Name", (..))`. Declared with
/// [`events!`](crate::events); sent with
/// [`ClientProxy::emit`](crate::ClientProxy::emit) and
/// [`SingleClient::emit`](crate::SingleClient::emit), or by
/// [`Message::event`](crate::Message::event).
pub trait Event: Arguments {
    /// The name that clients know it by.
    const NAME: &'static str;
}

/// An [`Event`] that clients answer: asked with
/// [`SingleClient::ask`](crate::SingleClient::ask).
pub trait Question: Event {
    /// The answer's type.
    type Answer: DeserializeOwned + Send + 'static;
}

/// Declares the events that a hub sends, with the types of their arguments.
///
/// Each becomes a struct with a field for each argument, in the order in which
/// they are sent; at most eight. Its name is the event's, unless another stands
/// behind `=`. One with `->` is a [`Question`](crate::Question). A lifetime
/// lets arguments be borrowed.
///
/// ```
/// use signalr::{Clients, HubContext, HubError};
///
/// signalr::events! {
///     /// Somebody said something.
///     pub event Said(user: String, text: String) = "Message";
///     /// `connection.on('Shipped', (order, to) => ..)`
///     pub event Shipped<'a>(order: u64, to: &'a str);
///     /// `connection.on('Confirm', text => window.confirm(text))`
///     event Confirm(text: String) -> bool;
/// }
///
/// async fn shipped(hub: &HubContext, user_id: &str, order: u64) {
///     hub.user(user_id).emit(Shipped { order, to: "the door" }).await;
/// }
///
/// async fn delete_room(clients: Clients, room: String) -> Result<bool, HubError> {
///     let confirmed = clients.caller().ask(Confirm { text: format!("Delete {room}?") }).await?;
///     let text = "The room is closed.".to_owned();
///     clients.group(&room).emit(Said { user: "the hub".to_owned(), text }).await;
///     Ok(confirmed)
/// }
/// # struct Chat;
/// # impl signalr::Hub for Chat {}
/// # signalr::HubServer::builder(Chat).method("DeleteRoom", delete_room);
/// ```
///
/// A wrong name, argument or type does not compile:
///
/// ```compile_fail,E0308
/// signalr::events! {
///     event Shipped(order: u64);
/// }
/// async fn shipped(hub: &signalr::HubContext) {
///     hub.all().emit(Shipped { order: "seven" }).await;
/// }
/// ```
#[macro_export]
macro_rules! events {
    ($(
        $(#[$attribute:meta])*
        $visibility:vis event $name:ident $(<$lifetime:lifetime>)? (
            $($argument:ident : $type:ty),* $(,)?
        ) $(-> $answer:ty)? $(= $wire:literal)? ;
    )*) => {$(
        $(#[$attribute])*
        #[derive(Debug, Clone)]
        $visibility struct $name $(<$lifetime>)? {
            $(
                #[doc = concat!("Argument `", stringify!($argument), "`.")]
                $visibility $argument: $type,
            )*
        }

        impl $(<$lifetime>)? $crate::Event for $name $(<$lifetime>)? {
            const NAME: &'static str = $crate::events!(@name $name $($wire)?);
        }

        impl $(<$lifetime>)? $crate::protocol::Arguments for $name $(<$lifetime>)? {
            fn write_json(&self, out: &mut Vec<u8>) -> Result<(), $crate::protocol::WriteError> {
                $crate::protocol::Arguments::write_json(&($(&self.$argument,)*), out)
            }

            fn write_messagepack(
                &self,
                out: &mut Vec<u8>,
            ) -> Result<(), $crate::protocol::WriteError> {
                $crate::protocol::Arguments::write_messagepack(&($(&self.$argument,)*), out)
            }
        }

        $crate::events!(@question $name $(<$lifetime>)?, $($answer)?);
    )*};
    (@name $name:ident) => {
        stringify!($name)
    };
    (@name $name:ident $wire:literal) => {
        $wire
    };
    (@question $name:ident $(<$lifetime:lifetime>)?,) => {};
    (@question $name:ident $(<$lifetime:lifetime>)?, $answer:ty) => {
        impl $(<$lifetime>)? $crate::Question for $name $(<$lifetime>)? {
            type Answer = $answer;
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::HubProtocol;

    crate::events! {
        event Plain();
        event Said(user: String, text: String) = "Message";
        event Borrowed<'a>(text: &'a str, count: Option<u8>,);
        event Confirm<'a>(text: &'a str) -> bool = "confirm";
    }

    fn json<E: Event>(event: &E) -> String {
        let mut out = Vec::new();
        HubProtocol::Json
            .write_invocation(&mut out, None, E::NAME, event, &[])
            .unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn events_are_written_as_their_arguments() {
        for (written, arguments) in [
            (json(&Plain {}), "\"Plain\",\"arguments\":[]"),
            (
                json(&Said {
                    user: "ada".into(),
                    text: "hi".into(),
                }),
                "\"Message\",\"arguments\":[\"ada\",\"hi\"]",
            ),
            (
                json(&Borrowed {
                    text: "a",
                    count: None,
                }),
                "\"Borrowed\",\"arguments\":[\"a\",null]",
            ),
            (
                json(&Confirm { text: "?" }),
                "\"confirm\",\"arguments\":[\"?\"]",
            ),
        ] {
            assert_eq!(
                written,
                format!("{{\"type\":1,\"target\":{arguments}}}\u{1e}")
            );
        }
        let mut packed = Vec::new();
        Said {
            user: "a".into(),
            text: "b".into(),
        }
        .write_messagepack(&mut packed)
        .unwrap();
        assert_eq!(packed, [0x92, 0xa1, b'a', 0xa1, b'b']);
    }
}
