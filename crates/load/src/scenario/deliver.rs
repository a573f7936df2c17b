//! Posts that the server delivers to one user's clients, or to all.

use std::time::Instant;

use tokio::time::sleep_until;

use super::{RunError, Stage};
use crate::{
    posts::{self, Kind, Posts},
    report::Report,
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
    let users = stage.run.server.users;
    let stream = |place: u64| match kind {
        Kind::Broadcast => 0,
        Kind::Event | Kind::Progress => place % users,
    };
    let places = 0..stage.common.connections;
    let expected = places.map(|place| posted.taken_of(stream(place))).sum();
    let end = stage.wait_for(expected).await?;
    stage.report.take_span(&end.since(&start));
    stage.report.from_due_time = rate > 0.0;
    let (mut report, outcomes) = stage.end(crowd).await?;
    for outcome in outcomes.iter().filter(|outcome| outcome.opened) {
        let stream = stream(outcome.place);
        report.expected += posted.taken_of(stream);
        report.lost += posted.lost(&outcome.tally, stream);
    }
    Ok(report)
}
