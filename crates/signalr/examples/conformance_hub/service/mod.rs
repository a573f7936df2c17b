//! The recorded server, built on this crate: the table of its paths with their
//! options, its tokens, and its record of connects and disconnects.

mod values;
mod hub;
mod echo;
mod failing;
mod streaming;
mod uploading;
mod asking;
mod sending;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::{Path, Request};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use signalr::{
    Authorization, BuildError, HubBuilder, HubOptions, HubServer, Principal, TransportKind,
    Transports,
};

use self::hub::{Events, Golden, OnConnect};

/// One path of the recorded server.
struct Variant {
    path: &'static str,
    options: HubOptions,
    authorization: Authorization,
    on_connect: OnConnect,
}

/// The whole server, and its hubs for whoever ends it.
pub(crate) fn router() -> Result<(Router, Vec<HubServer>), BuildError> {
    let events = Arc::new(Events::default());
    let read = {
        let events = Arc::clone(&events);
        move |Path(id): Path<String>| async move {
            ([(CONTENT_TYPE, "text/plain")], events.lines_of(&id)).into_response()
        }
    };
    let mut router = Router::new().route("/events/{connection_id}", get(read));
    let mut hubs = Vec::new();
    for variant in variants() {
        let hub = Golden::new(Arc::clone(&events), variant.on_connect);
        let builder = HubServer::builder(hub)
            .options(variant.options)
            .authorize(variant.authorization);
        let server = methods(builder).build()?;
        router = router.layer(server.layer(variant.path));
        hubs.push(server);
    }
    Ok((router.layer(from_fn(authenticate)), hubs))
}

fn methods(builder: HubBuilder<Golden>) -> HubBuilder<Golden> {
    let builder = echo::register(builder);
    let builder = failing::register(builder);
    let builder = streaming::register(builder);
    let builder = uploading::register(builder);
    let builder = asking::register(builder);
    sending::register(builder)
}

fn variants() -> Vec<Variant> {
    let mut all = transport_variants();
    all.extend(limit_variants());
    all.extend(access_variants());
    all
}

/// A path with defaults but for what `set` sets.
fn variant(path: &'static str, set: impl FnOnce(&mut HubOptions)) -> Variant {
    let mut options = HubOptions::default();
    set(&mut options);
    let authorization = Authorization::Anyone;
    Variant {
        path,
        options,
        authorization,
        on_connect: OnConnect::Nothing,
    }
}

fn transport_variants() -> Vec<Variant> {
    let only = |path, kind| variant(path, |o| o.transports = Transports::only(kind));
    let stateful = |path, set: fn(&mut HubOptions)| {
        variant(path, |o| {
            o.allow_stateful_reconnects = true;
            set(o);
        })
    };
    vec![
        variant("/golden", |_| {}),
        variant("/golden-detailed", |o| o.enable_detailed_errors = true),
        stateful("/golden-stateful", |_| {}),
        stateful("/golden-stateful-detailed", |o| {
            o.enable_detailed_errors = true
        }),
        stateful("/golden-stateful-short", |o| {
            o.keep_alive_interval = Duration::from_secs(1)
        }),
        stateful("/golden-stateful-small", |o| {
            o.stateful_reconnect_buffer_size = 500
        }),
        only("/golden-ws-only", TransportKind::WebSockets),
        only("/golden-sse-only", TransportKind::ServerSentEvents),
        only("/golden-lp-only", TransportKind::LongPolling),
    ]
}

fn limit_variants() -> Vec<Variant> {
    let short = |o: &mut HubOptions| {
        o.handshake_timeout = Duration::from_secs(1);
        o.keep_alive_interval = Duration::from_secs(1);
        o.client_timeout_interval = Duration::from_secs(2);
        o.poll_timeout = Duration::from_secs(2);
    };
    vec![
        variant("/golden-min1", |o| o.minimum_protocol_version = 1),
        variant("/golden-parallel", |o| {
            o.maximum_parallel_invocations_per_client = 2
        }),
        variant("/golden-short", short),
        variant("/golden-short-detailed", |o| {
            short(o);
            o.keep_alive_interval = Duration::from_secs(30);
            o.enable_detailed_errors = true;
        }),
        variant("/golden-small", |o| {
            o.maximum_receive_message_size = Some(128)
        }),
        variant("/golden-small-detailed", |o| {
            o.maximum_receive_message_size = Some(128);
            o.enable_detailed_errors = true;
        }),
        variant("/golden-unlimited", |o| {
            o.maximum_receive_message_size = None;
            o.enable_detailed_errors = true;
        }),
        variant("/golden-stream-buffer", |o| o.stream_buffer_capacity = 2),
    ]
}

fn access_variants() -> Vec<Variant> {
    let guarded = |path, authorization, close_on_expiry| Variant {
        authorization,
        ..variant(path, |o| {
            o.close_on_authentication_expiration = close_on_expiry
        })
    };
    let connecting = |path, on_connect| Variant {
        on_connect,
        ..variant(path, |_| {})
    };
    let mut throw_detailed = connecting("/golden-throw-detailed", OnConnect::Throw);
    throw_detailed.options.enable_detailed_errors = true;
    vec![
        guarded("/golden-auth", Authorization::Authenticated, false),
        guarded("/golden-admin", Authorization::Role("admin".into()), false),
        guarded("/golden-expire", Authorization::Authenticated, true),
        connecting("/golden-throw", OnConnect::Throw),
        connecting("/golden-throw-hub", OnConnect::ThrowHub),
        throw_detailed,
        connecting("/golden-greets", OnConnect::Greet),
        connecting("/golden-asks", OnConnect::Ask),
        connecting("/golden-aborts", OnConnect::Abort),
    ]
}

/// Puts the user of a token into the request, from the header or the query.
async fn authenticate(mut request: Request, next: Next) -> Response {
    let header = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let from_header = header.and_then(|value| value.strip_prefix("Bearer "));
    let query = request.uri().query().unwrap_or_default();
    let from_query = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("access_token="));
    if let Some(principal) = from_header.or(from_query).and_then(principal) {
        request.extensions_mut().insert(principal);
    }
    next.run(request).await
}

/// A token is the user's name and what is special about it: `alice.admin` has
/// a role, `alice.exp2` ends in two seconds. `bad` is refused.
fn principal(token: &str) -> Option<Principal> {
    let (name, special) = token.split_once('.').unwrap_or((token, ""));
    let principal = Principal::new(name);
    match (name, special) {
        ("bad", _) => None,
        (_, "") => Some(principal),
        (_, "admin") => Some(principal.with_role("admin")),
        (_, "exp2") => Some(principal.with_expiry(SystemTime::now() + Duration::from_secs(2))),
        _ => None,
    }
}
