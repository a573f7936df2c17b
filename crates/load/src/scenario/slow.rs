//! Broadcasts while some clients do not read: what the others notice of it.

use std::{sync::Arc, time::Instant};

use super::{RunError, Stage};
use crate::{
    client::Client,
    crowd::Crowd,
    listener::listen,
    posts::{self, Posts},
    report::Report,
    run::Run,
    tally::Tally,
};

pub(super) async fn slow(mut stage: Stage, posts: Posts, share: u64) -> Result<Report, RunError> {
    let before = stage.memory_before().await?;
    let start = stage.meter.moment()?;
    let part = move |run: Arc<Run>, client: Client, place: u64| async move {
        if is_slow(place, share) {
            stall(run, client).await
        } else {
            listen(run, client, place).await
        }
    };
    let crowd = Crowd::open(&stage.run, stage.opening(), part).await;
    stage.note_opening(&crowd, &start, before).await?;
    let readers = (0..stage.common.connections).filter(|place| !is_slow(*place, share));
    let readers = readers.count() as u64;
    let until = Instant::now() + stage.common.duration;
    stage.run.measure_from_now();
    let start = stage.meter.moment()?;
    let rate = posts.rate;
    let posted = posts::post(&stage.run, posts, until).await;
    let end = stage.wait_for(posted.taken_of(0) * readers).await?;
    stage.report.take_span(&end.since(&start));
    stage.report.from_due_time = rate > 0.0;
    if let Some(memory) = stage.meter.memory()? {
        let name = "memory of the server under load, KiB";
        stage.report.further.insert(name, memory as f64 / 1024.0);
    }
    let (mut report, outcomes) = stage.end(crowd).await?;
    let opened = outcomes.iter().filter(|outcome| outcome.opened);
    let (slow, reading): (Vec<_>, Vec<_>) = opened.partition(|each| is_slow(each.place, share));
    report.expected = posted.taken_of(0) * reading.len() as u64;
    let lost = reading.iter().map(|outcome| posted.lost(&outcome.tally, 0));
    report.lost = lost.sum();
    let name = "clients that did not read";
    report.further.insert(name, slow.len() as f64);
    Ok(report)
}

/// So many of each hundred.
fn is_slow(place: u64, share: u64) -> bool {
    place % 100 < share
}

/// Reads nothing until the run ends; then it looks whether it is still connected.
async fn stall(run: Arc<Run>, mut client: Client) -> Tally {
    run.stop.cancelled().await;
    let ended = async {
        loop {
            client.receive(|_| {}).await?;
        }
    };
    let ended: Result<Result<(), crate::client::ClientError>, _> =
        tokio::time::timeout(std::time::Duration::from_secs(2), ended).await;
    if let Ok(Err(error)) = ended {
        run.closed(&error);
    }
    Tally::default()
}
