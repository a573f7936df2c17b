//! The hub itself: what happens when clients come and go, and the record of it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use signalr::{Context, DisconnectReason, Hub, HubError};

use super::asking;

/// The recorded hub; its methods are in the modules beside this one.
#[derive(Debug)]
pub(crate) struct Golden {
    events: Arc<Events>,
    on_connect: OnConnect,
}

/// What a variant does when a client connects.
#[derive(Debug, Clone, Copy)]
pub(crate) enum OnConnect {
    Nothing,
    Throw,
    ThrowHub,
    Greet,
    Ask,
    Abort,
}

impl Golden {
    pub(crate) fn new(events: Arc<Events>, on_connect: OnConnect) -> Self {
        Self { events, on_connect }
    }
}

impl Hub for Golden {
    async fn on_connected(&self, context: &Context) -> Result<(), HubError> {
        let user = context.user_id().map_or("null", |user| user);
        self.events.add(context, format!("connected, user {user}"));
        let caller = context.clients().caller();
        match self.on_connect {
            OnConnect::Nothing => {}
            OnConnect::Throw => {
                return Err(HubError::internal(
                    "InvalidOperationException",
                    "connect bang",
                ));
            }
            OnConnect::ThrowHub => return Err(HubError::new("connect hub bang")),
            OnConnect::Greet => {
                caller.send("Message", ("welcome",)).await;
            }
            OnConnect::Ask => {
                let answer = asking::answer_or_exception(&caller).await;
                caller.send("Message", (answer,)).await;
            }
            OnConnect::Abort => context.abort(),
        }
        Ok(())
    }

    async fn on_disconnected(&self, context: &Context, reason: &DisconnectReason) {
        let reason = match reason {
            DisconnectReason::Graceful => "null".to_owned(),
            DisconnectReason::Error { exception, message } => format!("{exception}: {message}"),
        };
        self.events.add(context, format!("disconnected, {reason}"));
    }
}

/// The last connects and disconnects, by connection.
#[derive(Debug, Default)]
pub(crate) struct Events(Mutex<VecDeque<(String, String)>>);

/// Lines kept; a suite looks at what happened just before.
const KEPT: usize = 20_000;

impl Events {
    fn add(&self, context: &Context, line: String) {
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if events.len() == KEPT {
            events.pop_front();
        }
        events.push_back((context.connection_id().to_string(), line));
    }

    /// The lines of one connection.
    pub(crate) fn lines_of(&self, id: &str) -> String {
        let events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = events
            .iter()
            .filter(|(of, _)| of == id)
            .map(|(_, line)| line.as_str());
        lines.collect::<Vec<_>>().join("\n")
    }
}
