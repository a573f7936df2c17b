//! The task that keeps the connection up.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use redis::{
    AsyncConnectionConfig, IntoConnectionInfo as _, PushInfo, PushKind, Value,
    aio::MultiplexedConnection,
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

use super::{CHANNELS_AT_ONCE, Inner, LinkError, LinkState, Listener, within};

/// The pause after the first failure.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);

/// Commands that wait for the connection's task, and bytes that it puts into
/// one write.
const COMMANDS_WAITING: usize = 1024;
const WRITE_SIZE: usize = 64 * 1024;

/// Connects, again and again, until the link is closed.
pub(super) async fn run(inner: Arc<Inner>) {
    let mut attempts = 0;
    loop {
        let mut up_since = None;
        let ended = tokio::select! {
            () = inner.closed.cancelled() => break,
            ended = connection(&inner, attempts, &mut up_since) => ended,
        };
        *inner.connection.write() = None;
        let Err(reason) = ended else { continue };
        // A server that takes connections and drops them at once, or is frozen
        // and takes them for ever, is not asked faster than one that is away.
        if up_since.is_some_and(|since: Instant| since.elapsed() > inner.options.longest_pause) {
            attempts = 0;
        }
        attempts += 1;
        note_down(&inner, reason, attempts);
        tokio::select! {
            () = inner.closed.cancelled() => break,
            () = sleep(pause(attempts, inner.options.longest_pause)) => {}
        }
    }
    *inner.connection.write() = None;
    inner.state.send_replace(LinkState::Closed);
}

fn note_down(inner: &Inner, reason: LinkError, attempts: u32) {
    let address = inner.options.address();
    if attempts == 1 {
        tracing::warn!(address, %reason, "Redis is away; it is tried again");
    } else {
        tracing::debug!(address, %reason, attempts, "Redis is still away");
    }
    inner
        .state
        .send_replace(LinkState::Down { reason, attempts });
}

/// Doubled each time, and up to half as long again at random: nodes that lost
/// Redis together do not come back together.
fn pause(attempts: u32, longest: Duration) -> Duration {
    let doubled = SHORTEST_PAUSE.saturating_mul(1 << attempts.saturating_sub(1).min(16));
    doubled
        .min(longest)
        .mul_f64(1.0 + rand::random::<f64>() / 2.0)
}

/// What a connection's own task and the supervisor tell each other.
#[derive(Default)]
struct Session {
    /// Told when the connection's task has ended.
    lost: Notify,
    /// The supervisor has given the connection up. Its socket may still be
    /// there, and come back to life beside the next one: what it brings would
    /// come twice.
    over: AtomicBool,
}

/// Ends a session however its connection ends.
struct Over(Arc<Session>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Release);
    }
}

/// One connection from its beginning to its end.
async fn connection(
    inner: &Arc<Inner>,
    attempts: u32,
    up_since: &mut Option<Instant>,
) -> Result<(), LinkError> {
    let session = Arc::new(Session::default());
    let _over = Over(Arc::clone(&session));
    let options = &inner.options;
    let connect = open(inner, &session);
    let mut connection = within(options.connect_timeout, connect).await?;
    if let Some(name) = &options.client_name {
        let mut command = redis::cmd("CLIENT");
        command.arg("SETNAME").arg(name);
        command.query_async::<()>(&mut connection).await?;
    }
    // From here on changes of subscriptions go to this connection, behind
    // those that are made now.
    let in_turn = inner.subscribing.lock().await;
    *inner.connection.write() = Some(connection.clone());
    subscribe_to_everything(inner, &mut connection).await?;
    drop(in_turn);
    inner.connects.fetch_add(1, Ordering::Relaxed);
    tracing::info!(address = options.address(), attempts, "Redis is connected");
    *up_since = Some(Instant::now());
    inner.state.send_replace(LinkState::Up);
    for listener in inner.listeners().iter().filter_map(Weak::upgrade) {
        tell_subscribed(&*listener);
    }
    loop {
        tokio::select! {
            () = session.lost.notified() => return Err(LinkError::Lost("closed by the server".to_owned())),
            () = sleep(options.ping_interval) => {}
        }
        ping(inner, &mut connection).await?;
    }
}

async fn open(
    inner: &Arc<Inner>,
    session: &Arc<Session>,
) -> Result<MultiplexedConnection, redis::RedisError> {
    let (listening, session) = (Arc::downgrade(inner), Arc::clone(session));
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(inner.options.connect_timeout))
        .set_response_timeout(Some(inner.options.command_timeout))
        .set_pipeline_buffer_size(COMMANDS_WAITING)
        .set_write_backpressure_boundary(WRITE_SIZE)
        .set_push_sender(move |push| -> Result<(), redis::aio::SendError> {
            hear(&listening, &session, push);
            Ok(())
        });
    // Without this a small message waits for the acknowledgement of the one before.
    let info = inner
        .client
        .get_connection_info()
        .clone()
        .into_connection_info()?;
    let tcp = info.tcp_settings().clone().set_nodelay(true);
    redis::Client::open(info.set_tcp_settings(tcp))?
        .get_multiplexed_async_connection_with_config(&config)
        .await
}

/// Runs on the connection's task, so that a listener that cannot keep up slows
/// the reading of the socket and nothing piles up here: Redis drops a client
/// that stays behind.
fn hear(inner: &Weak<Inner>, session: &Session, push: PushInfo) {
    let Some(inner) = inner.upgrade() else { return };
    if session.over.load(Ordering::Acquire) {
        return;
    }
    inner.heard.store(true, Ordering::Relaxed);
    match push.kind {
        PushKind::Disconnection => session.lost.notify_one(),
        PushKind::Message => {
            let Ok([Value::BulkString(channel), Value::BulkString(payload)]) =
                <[Value; 2]>::try_from(push.data)
            else {
                return;
            };
            let heard = || inner.hear(&channel, Bytes::from(payload));
            if catch_unwind(AssertUnwindSafe(heard)).is_err() {
                tracing::error!("a message of another node made a listener panic");
            }
        }
        _ => {}
    }
}

async fn subscribe_to_everything(
    inner: &Inner,
    connection: &mut MultiplexedConnection,
) -> Result<(), LinkError> {
    for listener in inner.listeners().iter().filter_map(Weak::upgrade) {
        for channels in channels_of(&*listener).chunks(CHANNELS_AT_ONCE) {
            connection.subscribe(inner.all_prefixed(channels)).await?;
        }
    }
    Ok(())
}

/// A listener's defect is its own: the connection is there for the others.
pub(super) fn channels_of(listener: &dyn Listener) -> Vec<String> {
    catch_unwind(AssertUnwindSafe(|| listener.channels())).unwrap_or_else(|_| {
        tracing::error!("a listener panicked when it was asked for its channels");
        Vec::new()
    })
}

pub(super) fn tell_subscribed(listener: &dyn Listener) {
    if catch_unwind(AssertUnwindSafe(|| listener.subscribed())).is_err() {
        tracing::error!("a listener panicked when it was told of a new connection");
    }
}

/// A server that is frozen, or behind a network that swallows everything,
/// keeps its sockets open: only silence tells.
async fn ping(inner: &Inner, connection: &mut MultiplexedConnection) -> Result<(), LinkError> {
    inner.heard.store(false, Ordering::Relaxed);
    let command = redis::cmd("PING");
    let asked = command.query_async::<Value>(connection);
    match within(inner.options.ping_interval, asked).await {
        Ok(_) => Ok(()),
        // Its answer waits behind many messages: it lives.
        Err(LinkError::TimedOut) if inner.heard.load(Ordering::Relaxed) => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Broken;

    impl Listener for Broken {
        fn channels(&self) -> Vec<String> {
            panic!("a listener may have defects")
        }

        fn message(&self, _: &str, _: Bytes) -> bool {
            false
        }

        fn subscribed(&self) {
            panic!("a listener may have defects")
        }
    }

    #[test]
    fn a_listener_that_panics_is_one_without_channels() {
        assert!(channels_of(&Broken).is_empty());
        tell_subscribed(&Broken);
    }

    #[test]
    fn pauses_grow_to_the_longest_and_differ() {
        let longest = Duration::from_secs(5);
        for attempts in 1..40 {
            let expected = SHORTEST_PAUSE * (1 << (attempts - 1).min(16));
            let (shortest, pause) = (expected.min(longest), pause(attempts, longest));
            assert!(
                pause >= shortest && pause <= shortest.mul_f64(1.5),
                "{attempts}"
            );
        }
        let some: std::collections::HashSet<_> = (0..20).map(|_| pause(9, longest)).collect();
        assert!(some.len() > 1);
    }
}
