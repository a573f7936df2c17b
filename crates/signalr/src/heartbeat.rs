//! The hub's clock: one task looks at every connection once a second, instead
//! of a timer for each (ASP.NET Core does the same).

use std::{
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use crate::{
    TransportKind,
    close::CloseReason,
    connection::{Connection, Stage},
    outbox::Frame,
    server::Core,
};

const TICK: Duration = Duration::from_secs(1);

/// Ticks until the hub is gone, which it is once nobody holds it and its last
/// connection has ended.
pub(crate) async fn run(core: Weak<Core>) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(core) = core.upgrade() else { return };
        let mut over = Vec::new();
        core.registry.for_announced(|connection| {
            if !tick(&core, connection) {
                over.push(Arc::clone(connection));
            }
        });
        for connection in over {
            core.registry.forget(&connection);
        }
    }
}

/// Looks at one connection; false when its token can be forgotten.
fn tick(core: &Core, connection: &Arc<Connection>) -> bool {
    let options = &core.options;
    let times = &connection.times;
    let in_stage = core.since(&times.stage_since);
    match connection.stage() {
        Stage::New => {
            if in_stage > options.disconnect_timeout && connection.expire() {
                return false;
            }
        }
        Stage::Handshake => {
            if in_stage > options.handshake_timeout {
                connection.request_close(CloseReason::HandshakeTimeout);
            }
            transport_lost(core, connection);
        }
        Stage::Running => {
            watch_stream(core, connection);
            if let Some(reason) = verdict(core, connection) {
                connection.request_close(reason);
            } else {
                keep_alive(core, connection);
            }
        }
        // The connection's task decides with its own deadline.
        Stage::Ending => connection.wake_driver(),
        Stage::Ended => {
            let fetches_end = connection.transport() == Some(TransportKind::LongPolling);
            return fetches_end && in_stage <= options.disconnect_timeout;
        }
    }
    true
}

/// An event stream tells nobody that it stands still: what waits is looked at.
fn watch_stream(core: &Core, connection: &Connection) {
    let streams = connection.transport() == Some(TransportKind::ServerSentEvents);
    if streams && !connection.outbox().is_empty() {
        let stalled = &connection.times.stalled_since;
        let now = core.now().max(1);
        let _ = stalled.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
    }
}

fn transport_lost(core: &Core, connection: &Connection) {
    let detached = &connection.times.detached_since;
    if detached.load(Ordering::Relaxed) > 0
        && core.since(detached) > core.options.disconnect_timeout
    {
        connection.request_close(CloseReason::TransportLost);
    }
}

/// Why a running connection must end now.
fn verdict(core: &Core, connection: &Connection) -> Option<CloseReason> {
    let options = &core.options;
    let times = &connection.times;
    let set = |time: &std::sync::atomic::AtomicU64| time.load(Ordering::Relaxed) > 0;
    if set(&times.detached_since) {
        let gone = core.since(&times.detached_since) > options.disconnect_timeout;
        return gone.then_some(CloseReason::TransportLost);
    }
    if set(&times.last_received)
        && connection.is_reading()
        && core.since(&times.last_received) > options.client_timeout_interval
    {
        return Some(CloseReason::ClientTimeout);
    }
    if let Some(limit) = options.transport_send_timeout
        && set(&times.stalled_since)
        && core.since(&times.stalled_since) > limit
    {
        return Some(CloseReason::SlowClient);
    }
    if options.close_on_authentication_expiration
        && let Some(expires_at) = connection.principal().and_then(|each| each.expires_at())
        && std::time::SystemTime::now() >= expires_at
    {
        return Some(CloseReason::AuthenticationExpired);
    }
    None
}

/// Sends the Ping and the Ack that are due.
fn keep_alive(core: &Core, connection: &Connection) {
    let times = &connection.times;
    let Some(protocol) = connection.protocol() else {
        return;
    };
    let polls = connection.transport() == Some(TransportKind::LongPolling);
    if !polls && times.detached_since.load(Ordering::Relaxed) > 0 {
        return;
    }
    let (processed, acknowledged) = (
        times.processed_id.load(Ordering::Relaxed),
        times.acknowledged_id.load(Ordering::Relaxed),
    );
    if processed > acknowledged {
        times.acknowledged_id.store(processed, Ordering::Relaxed);
        let ack = Frame::uncounted(protocol, |out| protocol.write_ack(out, processed as i64));
        let _ = connection.send(ack, 0);
    }
    // Polls show by themselves that both sides live.
    if polls {
        return;
    }
    // What waits to be written keeps the connection alive as well.
    if core.since(&times.last_ping_sent) > core.options.keep_alive_interval
        && connection.outbox().is_empty()
    {
        times.last_ping_sent.store(core.now(), Ordering::Relaxed);
        let _ = connection.send(core.ping(protocol), 0);
    }
}
