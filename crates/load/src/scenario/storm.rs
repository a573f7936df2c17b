//! All connections are cut at once, and all come back at once.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::Instant};

use super::{RunError, Stage};
use crate::{
    client::Client,
    crowd::Crowd,
    listener::receive_all,
    report::Report,
    run::{Run, add, get},
    tally::Tally,
};

/// A client that was refused tries again after this.
const AGAIN: Duration = Duration::from_millis(200);
const LONGEST_ROUND: Duration = Duration::from_secs(120);

pub(super) async fn storm(
    mut stage: Stage,
    rounds: u32,
    spread: Duration,
) -> Result<Report, RunError> {
    let before = stage.memory_before().await?;
    let start = stage.meter.moment()?;
    let (cut, cuts) = watch::channel(0_u32);
    let clients = stage.common.connections;
    let part = move |run: Arc<Run>, client: Client, place: u64| {
        let shift = spread.mul_f64(place as f64 / clients as f64);
        come_back(run, client, place, cuts.clone(), shift)
    };
    let crowd = Crowd::open(&stage.run, stage.opening(), part).await;
    stage.note_opening(&crowd, &start, before).await?;
    let (mut longest, mut seconds) = (Duration::ZERO, 0.0);
    let start = stage.meter.moment()?;
    for round in 1..=rounds {
        let opened = get(&stage.run.counts.opened);
        let began = Instant::now();
        cut.send_replace(round);
        // Those that the server ended before do not come back.
        let all_are_back = || get(&stage.run.counts.opened) >= opened + get(&stage.run.counts.open);
        while !all_are_back() && began.elapsed() < LONGEST_ROUND {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        longest = longest.max(began.elapsed());
        seconds += began.elapsed().as_secs_f64();
        tokio::time::sleep(stage.common.settle).await;
    }
    let mut span = stage.meter.since(&start)?;
    stage.report.take_span(&span);
    stage.report.messages_per_second = None;
    span.seconds = seconds;
    stage.report.take_opening(&span);
    stage.report.from_due_time = true;
    let further = &mut stage.report.further;
    further.insert("longest until all were back, s", longest.as_secs_f64());
    Ok(stage.end(crowd).await?.0)
}

/// Stays until it is cut, and comes back.
async fn come_back(
    run: Arc<Run>,
    client: Client,
    place: u64,
    mut cuts: watch::Receiver<u32>,
    shift: Duration,
) -> Tally {
    let mut tally = Tally::default();
    let mut client = client;
    loop {
        tokio::select! {
            ended = receive_all(&run, &mut client, place, &mut tally) => {
                match ended {
                    Ok(()) => client.leave(&run.server).await,
                    Err(error) => run.closed(&error),
                }
                return tally;
            }
            cut = cuts.changed() => {
                if cut.is_err() {
                    return tally;
                }
            }
        }
        // Cut, not left: the server is not told.
        drop(client);
        let due = Instant::now() + shift;
        tokio::time::sleep_until(due).await;
        client = loop {
            let user = run.server.user_of(place);
            match Client::open(&run.server, user, run.patience).await {
                Ok(client) => break client,
                Err(error) => run.failed(&error),
            }
            if run.stop.is_cancelled() {
                return tally;
            }
            tokio::time::sleep(AGAIN).await;
        };
        run.latency
            .record(place as usize, due.elapsed().as_nanos() as u64);
        add(&run.counts.opened, 1);
    }
}
