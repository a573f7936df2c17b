//! What a hub method may return: a value, a `Result`, a stream.

use futures_util::{Stream, StreamExt as _, stream::BoxStream};
use serde::Serialize;

use super::{Answer, Fault, HubError};
use crate::outbox::Frame;

/// Marks a value that is the result itself.
#[derive(Debug)]
pub struct Value;
/// Marks a `Result` around what `M` marks.
#[derive(Debug)]
pub struct Fallible<M = Value>(std::marker::PhantomData<M>);
/// Marks an `Option` around what `M` marks.
#[derive(Debug)]
pub struct Optional<M>(std::marker::PhantomData<M>);
/// Marks a stream of values.
#[derive(Debug)]
pub struct Items;
/// Marks a stream of `Result`s.
#[derive(Debug)]
pub struct FallibleItems;

/// Marks a `Result` whose error is no [`HubError`] and could only be sent as a
/// value. Nothing else marks it: that type inference finds two marks makes the
/// compiler refuse such a method.
///
/// ```compile_fail,E0283
/// # struct Chat;
/// # impl signalr::Hub for Chat {}
/// async fn order(amount: u32) -> Result<u32, String> {
///     if amount == 0 { Err("order at least one".into()) } else { Ok(amount) }
/// }
/// signalr::HubServer::builder(Chat).method("Order", order);
/// ```
///
/// Say whether the client is to see the text:
///
/// ```
/// use signalr::HubError;
/// # struct Chat;
/// # impl signalr::Hub for Chat {}
///
/// fn check(amount: u32) -> Result<u32, String> {
///     if amount == 0 { Err("order at least one".into()) } else { Ok(amount) }
/// }
///
/// async fn order(amount: u32) -> Result<u32, HubError> {
///     check(amount).map_err(HubError::new)
/// }
/// signalr::HubServer::builder(Chat).method("Order", order);
/// ```
#[derive(Debug)]
pub struct NotAnError;

/// The outcome of a method, already in the client's protocol.
pub enum ReplyKind {
    /// The Completion; `None` where the client wants no answer.
    Completion(Option<Frame>),
    /// Items, each a whole StreamItem.
    Items(BoxStream<'static, Result<Frame, HubError>>),
}

impl std::fmt::Debug for ReplyKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Completion(_) => "Completion",
            Self::Items(_) => "Items",
        })
    }
}

/// What a plain method may return. `M` is inferred.
pub trait IntoReply<M> {
    /// Writes the Completion.
    #[doc(hidden)]
    fn into_completion(self, answer: &Answer) -> Result<Option<Frame>, HubError>;
}

impl<T: Serialize> IntoReply<Value> for T {
    fn into_completion(self, answer: &Answer) -> Result<Option<Frame>, HubError> {
        let Some(id) = &answer.invocation_id else {
            return Ok(None);
        };
        let frame = Frame::message(answer.protocol, |out| {
            answer.protocol.write_result(out, id, &self)
        });
        frame
            .map(Some)
            .map_err(|error| Fault::Unwritable(error).into())
    }
}

impl<T: Serialize, E: Into<HubError>> IntoReply<Fallible> for Result<T, E> {
    fn into_completion(self, answer: &Answer) -> Result<Option<Frame>, HubError> {
        self.map_err(Into::into)?.into_completion(answer)
    }
}

impl<T: Serialize, E: Serialize> IntoReply<NotAnError> for Result<T, E> {
    fn into_completion(self, answer: &Answer) -> Result<Option<Frame>, HubError> {
        IntoReply::<Value>::into_completion(self, answer)
    }
}

/// What a streaming method may return. `M` is inferred.
pub trait IntoItems<M> {
    /// Writes each item.
    #[doc(hidden)]
    fn into_items(
        self,
        answer: Answer,
    ) -> Result<BoxStream<'static, Result<Frame, HubError>>, HubError>;
}

fn item_frame<T: Serialize>(answer: &Answer, item: &T) -> Result<Frame, HubError> {
    let id = answer
        .invocation_id
        .as_deref()
        .expect("a stream invocation has an id");
    Frame::message(answer.protocol, |out| {
        answer.protocol.write_stream_item(out, id, item)
    })
    .map_err(|error| Fault::Unwritable(error).into())
}

impl<S, T> IntoItems<Items> for S
where
    S: Stream<Item = T> + Send + 'static,
    T: Serialize,
{
    fn into_items(
        self,
        answer: Answer,
    ) -> Result<BoxStream<'static, Result<Frame, HubError>>, HubError> {
        Ok(self.map(move |item| item_frame(&answer, &item)).boxed())
    }
}

impl<S, T, E> IntoItems<FallibleItems> for S
where
    S: Stream<Item = Result<T, E>> + Send + 'static,
    T: Serialize,
    E: Into<HubError>,
{
    fn into_items(
        self,
        answer: Answer,
    ) -> Result<BoxStream<'static, Result<Frame, HubError>>, HubError> {
        Ok(self
            .map(move |item| item_frame(&answer, &item.map_err(Into::into)?))
            .boxed())
    }
}

impl<S, T, E> IntoItems<NotAnError> for S
where
    S: Stream<Item = Result<T, E>> + Send + 'static,
    T: Serialize,
    E: Serialize,
{
    fn into_items(
        self,
        answer: Answer,
    ) -> Result<BoxStream<'static, Result<Frame, HubError>>, HubError> {
        IntoItems::<Items>::into_items(self, answer)
    }
}

impl<S, E, M> IntoItems<Fallible<M>> for Result<S, E>
where
    S: IntoItems<M>,
    E: Into<HubError>,
{
    fn into_items(
        self,
        answer: Answer,
    ) -> Result<BoxStream<'static, Result<Frame, HubError>>, HubError> {
        self.map_err(Into::into)?.into_items(answer)
    }
}

/// `None` is what a null stream is in .NET: the client gets an error that says so.
impl<S, M> IntoItems<Optional<M>> for Option<S>
where
    S: IntoItems<M>,
{
    fn into_items(
        self,
        answer: Answer,
    ) -> Result<BoxStream<'static, Result<Frame, HubError>>, HubError> {
        self.ok_or_else(|| HubError::from(Fault::NoStream))?
            .into_items(answer)
    }
}
