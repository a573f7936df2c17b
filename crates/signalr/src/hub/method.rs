//! A registered method: its shape, and how a call is bound to it.

use std::{future::Future, sync::Arc};

use futures_util::future::BoxFuture;

use super::{
    Binder, HubError, Parameter, ReplyKind,
    parameter::ParameterKind,
    reply::{IntoItems, IntoReply},
};
use crate::{
    hub::Context,
    principal::Authorization,
    protocol::{HubProtocol, Invocation},
};

/// Whom a reply is written for.
#[derive(Debug, Clone)]
pub struct Answer {
    pub(crate) protocol: HubProtocol,
    /// `None`: the client wants no answer.
    pub(crate) invocation_id: Option<Arc<str>>,
}

/// A call with its arguments read, ready to run.
pub(crate) type BoundCall =
    Box<dyn FnOnce(Answer) -> BoxFuture<'static, Result<ReplyKind, HubError>> + Send>;

/// The uploads of a bound call, by stream id.
pub(crate) type Sinks = Vec<(Box<str>, Box<dyn super::UploadSink>)>;

type Bind = Box<
    dyn Fn(Context, &Invocation<'_>, usize) -> Result<(BoundCall, Sinks), HubError> + Send + Sync,
>;

/// A method of a hub.
pub(crate) struct Method {
    /// As it was declared; clients may spell it in any letter case.
    pub(crate) name: Box<str>,
    pub(crate) streaming: bool,
    pub(crate) arguments: usize,
    pub(crate) uploads: usize,
    pub(crate) authorization: Authorization,
    bind: Bind,
}

impl std::fmt::Debug for Method {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Method")
            .field("name", &self.name)
            .field("streaming", &self.streaming)
            .field("arguments", &self.arguments)
            .field("uploads", &self.uploads)
            .finish_non_exhaustive()
    }
}

impl Method {
    pub(super) fn plain<H, M, F: HubMethod<H, M>>(name: &str, hub: Arc<H>, function: F) -> Self
    where
        H: Send + Sync + 'static,
    {
        Self::new(
            name,
            false,
            F::SHAPE,
            Box::new(move |context, invocation, capacity| {
                let mut binder = binder(&hub, context, invocation, capacity);
                let call = function.bind_plain(&mut binder)?;
                Ok((call, binder.sinks))
            }),
        )
    }

    pub(super) fn streaming<H, M, F: StreamingHubMethod<H, M>>(
        name: &str,
        hub: Arc<H>,
        function: F,
    ) -> Self
    where
        H: Send + Sync + 'static,
    {
        Self::new(
            name,
            true,
            F::SHAPE,
            Box::new(move |context, invocation, capacity| {
                let mut binder = binder(&hub, context, invocation, capacity);
                let call = function.bind_streaming(&mut binder)?;
                Ok((call, binder.sinks))
            }),
        )
    }

    fn new(name: &str, streaming: bool, shape: Shape, bind: Bind) -> Self {
        Self {
            name: name.into(),
            streaming,
            arguments: shape.arguments,
            uploads: shape.uploads,
            authorization: Authorization::Anyone,
            bind,
        }
    }

    /// Reads the arguments. Their number has been checked.
    pub(crate) fn bind(
        &self,
        context: Context,
        invocation: &Invocation<'_>,
        upload_capacity: usize,
    ) -> Result<(BoundCall, Sinks), HubError> {
        (self.bind)(context, invocation, upload_capacity)
    }
}

fn binder<'a, H>(
    hub: &'a Arc<H>,
    context: Context,
    invocation: &'a Invocation<'a>,
    upload_capacity: usize,
) -> Binder<'a, H> {
    Binder {
        hub,
        context,
        arguments: invocation.arguments.iter(),
        stream_ids: invocation.stream_ids.iter(),
        sinks: Vec::new(),
        upload_capacity,
    }
}

/// What a method takes from its client.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    arguments: usize,
    uploads: usize,
}

const fn shape(kinds: &[ParameterKind]) -> Shape {
    let mut shape = Shape {
        arguments: 0,
        uploads: 0,
    };
    let mut at = 0;
    while at < kinds.len() {
        match kinds[at] {
            ParameterKind::Argument => shape.arguments += 1,
            ParameterKind::Upload => shape.uploads += 1,
            ParameterKind::Extracted => {}
        }
        at += 1;
    }
    shape
}

/// An async function that can be a hub method: up to eight parameters, each a
/// [`Parameter`], returning a serialisable value or a `Result`. `M` is inferred.
pub trait HubMethod<H, M>: Send + Sync + 'static {
    #[doc(hidden)]
    const SHAPE: Shape;

    #[doc(hidden)]
    fn bind_plain(&self, binder: &mut Binder<'_, H>) -> Result<BoundCall, HubError>;
}

/// An async function that can be a streaming hub method: it returns a stream
/// of values or of `Result`s, or a `Result` with such a stream. `M` is inferred.
pub trait StreamingHubMethod<H, M>: Send + Sync + 'static {
    #[doc(hidden)]
    const SHAPE: Shape;

    #[doc(hidden)]
    fn bind_streaming(&self, binder: &mut Binder<'_, H>) -> Result<BoundCall, HubError>;
}

macro_rules! hub_method {
    ($($parameter:ident $marker:ident),*) => {
        impl<H, F, Fut, R, RM, $($parameter, $marker),*> HubMethod<H, (RM, $(($parameter, $marker)),*)> for F
        where
            F: Fn($($parameter),*) -> Fut + Clone + Send + Sync + 'static,
            Fut: Future<Output = R> + Send + 'static,
            R: IntoReply<RM>,
            $($parameter: Parameter<H, $marker>,)*
        {
            const SHAPE: Shape = shape(&[$($parameter::KIND),*]);

            #[allow(non_snake_case, unused_variables, reason = "one macro for any number of parameters")]
            fn bind_plain(&self, binder: &mut Binder<'_, H>) -> Result<BoundCall, HubError> {
                $(let $parameter = $parameter::bind(binder)?;)*
                let function = self.clone();
                Ok(Box::new(move |answer| Box::pin(async move {
                    let reply = function($($parameter),*).await;
                    reply.into_completion(&answer).map(ReplyKind::Completion)
                })))
            }
        }

        impl<H, F, Fut, R, RM, $($parameter, $marker),*> StreamingHubMethod<H, (RM, $(($parameter, $marker)),*)> for F
        where
            F: Fn($($parameter),*) -> Fut + Clone + Send + Sync + 'static,
            Fut: Future<Output = R> + Send + 'static,
            R: IntoItems<RM>,
            $($parameter: Parameter<H, $marker>,)*
        {
            const SHAPE: Shape = shape(&[$($parameter::KIND),*]);

            #[allow(non_snake_case, unused_variables, reason = "one macro for any number of parameters")]
            fn bind_streaming(&self, binder: &mut Binder<'_, H>) -> Result<BoundCall, HubError> {
                $(let $parameter = $parameter::bind(binder)?;)*
                let function = self.clone();
                Ok(Box::new(move |answer| Box::pin(async move {
                    let items = function($($parameter),*).await;
                    items.into_items(answer).map(ReplyKind::Items)
                })))
            }
        }
    };
}

hub_method!();
hub_method!(P1 M1);
hub_method!(P1 M1, P2 M2);
hub_method!(P1 M1, P2 M2, P3 M3);
hub_method!(P1 M1, P2 M2, P3 M3, P4 M4);
hub_method!(P1 M1, P2 M2, P3 M3, P4 M4, P5 M5);
hub_method!(P1 M1, P2 M2, P3 M3, P4 M4, P5 M5, P6 M6);
hub_method!(P1 M1, P2 M2, P3 M3, P4 M4, P5 M5, P6 M6, P7 M7);
hub_method!(P1 M1, P2 M2, P3 M3, P4 M4, P5 M5, P6 M6, P7 M7, P8 M8);
