//! Posts that the server delivers to one user's clients, or to all.

use std::time::Instant;

use tokio::time::sleep_until;

use super::{RunError, Stage};
use crate::{
    posts::{self, Kind, Posted, Posts},
    report::Report,
    run::get,
};

pub(super) async fn deliver(mut stage: Stage, posts: Posts) -> Result<Report, RunError> {
    let crowd = stage.open_listeners().await?;
    let began = Instant::now() + stage.common.warm_up;
    let until = began + stage.common.duration;
    let (kind, rate) = (posts.kind, posts.rate);
    let run = std::sync::Arc::clone(&stage.run);
    let posting = tokio::spawn(async move { posts::post(&run, posts, until).await });
    sleep_until(began.into()).await;
    stage.run.measure_from_now();
    let start = stage.meter.moment()?;
    let posted = posting.await.expect("posting does not panic");
    let expected = expected(&stage, &posted, kind, crowd.opened);
    stage.wait_for(expected).await;
    let span = stage.meter.since(&start)?;
    stage.report.take_span(&span);
    stage.report.from_due_time = rate > 0.0;
    stage.report.expected = expected;
    let server_closed = get(&stage.run.counts.closed);
    let users = stage.run.server.users;
    let (mut report, outcomes) = stage.end(crowd).await?;
    for outcome in outcomes {
        let user = match kind {
            Kind::Broadcast => 0,
            Kind::Event | Kind::Progress => outcome.place % users,
        };
        report.lost += posted.lost(&outcome.tally, user);
    }
    debug_assert!(report.closed >= server_closed);
    Ok(report)
}

/// Messages that clients should get: for each that the server took, one for
/// each client that it is for.
fn expected(stage: &Stage, posted: &Posted, kind: Kind, opened: u64) -> u64 {
    let clients = stage.common.connections;
    let server = &stage.run.server;
    match kind {
        Kind::Broadcast => posted.taken_of(0) * opened,
        Kind::Event | Kind::Progress => (0..server.users)
            .map(|user| posted.taken_of(user) * server.clients_of(user, clients))
            .sum(),
    }
}
