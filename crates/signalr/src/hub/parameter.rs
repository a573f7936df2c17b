//! What a hub method may take: arguments, extractors, uploads.

use std::sync::Arc;

use serde::de::DeserializeOwned;
pub use tokio_util::sync::CancellationToken;

use super::{
    Call, Context, Fault, HubError, State, User,
    upload::{Upload, UploadSink},
};
use crate::{
    clients::{Clients, Groups, HubContext},
    protocol::RawArgumentsIter,
};

/// Marks what is read from the client's arguments.
#[derive(Debug)]
pub struct Argument;
/// Marks what the server provides.
#[derive(Debug)]
pub struct Extracted;
/// Marks a client's upload.
#[derive(Debug)]
pub struct Streamed;

/// How a parameter counts in the method's shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterKind {
    /// One of the client's arguments.
    Argument,
    /// Provided by the server; the client knows nothing of it.
    Extracted,
    /// One of the client's uploads.
    Upload,
}

/// A type that a hub method may take: everything that deserialises (an
/// argument), [`Upload`] (a client's stream), and the extractors [`Context`],
/// [`Clients`], [`Groups`], [`HubContext`], [`State`], [`User`] and
/// [`CancellationToken`]. `M` is inferred.
pub trait Parameter<H, M>: Sized + Send + 'static {
    /// How it counts.
    const KIND: ParameterKind;

    /// Reads it.
    ///
    /// # Errors
    /// When the argument is of another type, or the extractor refuses the call.
    fn bind(binder: &mut Binder<'_, H>) -> Result<Self, HubError>;
}

/// What parameters are read from, one after another.
#[derive(Debug)]
pub struct Binder<'a, H> {
    pub(crate) hub: &'a Arc<H>,
    pub(crate) context: Context,
    pub(crate) arguments: RawArgumentsIter<'a>,
    pub(crate) stream_ids: std::slice::Iter<'a, std::borrow::Cow<'a, str>>,
    pub(crate) sinks: Vec<(Box<str>, Box<dyn UploadSink>)>,
    pub(crate) upload_capacity: usize,
}

impl<H> Binder<'_, H> {
    fn call(&self) -> &Arc<Call> {
        self.context
            .call
            .as_ref()
            .expect("parameters are bound for a call")
    }
}

/// What clients see, with detailed errors, of arguments of another type.
const WRONG_TYPE: &str = "Error binding arguments. Make sure that the types of the provided values \
                          match the types of the hub method being invoked.";

impl<H, T: DeserializeOwned + Send + 'static> Parameter<H, Argument> for T {
    const KIND: ParameterKind = ParameterKind::Argument;

    fn bind(binder: &mut Binder<'_, H>) -> Result<Self, HubError> {
        let raw = binder
            .arguments
            .next()
            .expect("the number of arguments was checked");
        raw.deserialize()
            .map_err(|_| Fault::Binding(WRONG_TYPE.to_owned()).into())
    }
}

impl<H, T: DeserializeOwned + Send + 'static> Parameter<H, Streamed> for Upload<T> {
    const KIND: ParameterKind = ParameterKind::Upload;

    fn bind(binder: &mut Binder<'_, H>) -> Result<Self, HubError> {
        let (upload, sink) = Self::new(
            Arc::clone(&binder.context.connection),
            binder.upload_capacity,
        );
        // With too few ids the call is refused after binding.
        if let Some(id) = binder.stream_ids.next() {
            binder.sinks.push((id.as_ref().into(), sink));
        }
        Ok(upload)
    }
}

macro_rules! extractor {
    ($type:ty, |$binder:ident| $value:expr) => {
        impl<H: 'static> Parameter<H, Extracted> for $type {
            const KIND: ParameterKind = ParameterKind::Extracted;

            fn bind($binder: &mut Binder<'_, H>) -> Result<Self, HubError> {
                $value
            }
        }
    };
}

extractor!(Context, |binder| Ok(binder.context.clone()));
extractor!(Clients, |binder| Ok(binder.context.clients()));
extractor!(HubContext, |binder| Ok(binder.context.hub()));
extractor!(Groups, |binder| Ok(binder.context.hub().groups()));
extractor!(CancellationToken, |binder| Ok(binder
    .call()
    .cancellation()
    .clone()));
extractor!(User, |binder| match binder.context.user_id() {
    Some(user_id) => Ok(Self(Arc::clone(user_id))),
    None => Err(Fault::Unauthorized.into()),
});

impl<H: Send + Sync + 'static> Parameter<H, Extracted> for State<H> {
    const KIND: ParameterKind = ParameterKind::Extracted;

    fn bind(binder: &mut Binder<'_, H>) -> Result<Self, HubError> {
        Ok(Self(Arc::clone(binder.hub)))
    }
}
