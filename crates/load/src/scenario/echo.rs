//! Hub methods called on each connection, and their answers.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use serde_json::Value;
use signalr::protocol::{CompletionOutcome, HubMessage};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{RunError, Stage};
use crate::{
    client::{Client, ClientError},
    crowd::Crowd,
    listener::pings,
    report::Report,
    run::{Run, add, get},
    schedule,
    tally::Tally,
};

/// Answers that are late are waited for.
const LINGER: Duration = Duration::from_secs(5);

/// What is called, and how often.
#[derive(Debug, Clone)]
pub(super) struct Calls {
    pub(super) method: String,
    pub(super) arguments: Vec<Value>,
    /// A second of all clients together; 0 for as many as go.
    pub(super) rate: f64,
    pub(super) in_flight: usize,
    pub(super) clients: u64,
}

impl Calls {
    /// How many calls are due within `span`; `None` where there is no rate.
    fn planned(&self, span: Duration) -> Option<u64> {
        (self.rate > 0.0).then(|| schedule::slots_in(span, self.rate))
    }

    /// How many of the first `planned` calls are those of the client at `place`.
    fn planned_of(&self, place: u64, planned: u64) -> u64 {
        planned.saturating_sub(place).div_ceil(self.clients)
    }
}

/// When calls are made.
#[derive(Debug, Clone, Copy)]
struct Times {
    began: Instant,
    until: Instant,
}

pub(super) async fn echo(mut stage: Stage, calls: Calls) -> Result<Report, RunError> {
    let before = stage.memory_before().await?;
    let start = stage.meter.moment()?;
    let (begin, begun) = watch::channel(None);
    let calls = Arc::new(calls);
    let plan = Arc::clone(&calls);
    let part = move |run: Arc<Run>, client: Client, place: u64| {
        let caller = Caller {
            calls: Arc::clone(&calls),
            place,
            next: 0,
            waiting: VecDeque::new(),
        };
        caller.play(run, client, begun.clone())
    };
    let crowd = Crowd::open(&stage.run, stage.opening(), part).await;
    stage.note_opening(&crowd, &start, before).await?;
    let began = Instant::now();
    let measured = began + stage.common.warm_up;
    let until = measured + stage.common.duration;
    begin.send_replace(Some(Times { began, until }));
    sleep_until(measured).await;
    stage.run.measure_from_now();
    let start = stage.meter.moment()?;
    sleep_until(until).await;
    let span = stage.meter.since(&start)?;
    stage.report.take_span(&span);
    stage.report.from_due_time = plan.rate > 0.0;
    let planned = plan.planned(until - began);
    stage
        .wait_for(planned.unwrap_or_else(|| get(&stage.run.counts.sent)))
        .await?;
    let run = Arc::clone(&stage.run);
    let (mut report, _) = stage.end(crowd).await?;
    let unsent = get(&run.counts.unsent);
    report.expected = report.sent + unsent;
    report.lost = get(&run.counts.unanswered) + unsent;
    Ok(report)
}

/// One client's calls.
struct Caller {
    calls: Arc<Calls>,
    place: u64,
    next: u64,
    /// Calls without an answer, and when they were due.
    waiting: VecDeque<(u64, u64)>,
}

impl Caller {
    async fn play(
        mut self,
        run: Arc<Run>,
        mut client: Client,
        mut begun: watch::Receiver<Option<Times>>,
    ) -> Tally {
        let mut tally = Tally::default();
        let ended = self.call(&run, &mut client, &mut begun, &mut tally).await;
        add(&run.counts.unanswered, self.waiting.len() as u64);
        add(&run.counts.unsent, self.unsent(*begun.borrow()));
        match ended {
            Ok(()) => client.leave(&run.server).await,
            Err(error) => run.closed(&error),
        }
        tally
    }

    async fn call(
        &mut self,
        run: &Run,
        client: &mut Client,
        begun: &mut watch::Receiver<Option<Times>>,
        tally: &mut Tally,
    ) -> Result<(), ClientError> {
        let mut pings = pings(self.place);
        loop {
            let now = Instant::now();
            let times = *begun.borrow();
            let due = times.and_then(|times| self.due(times, now));
            if let Some(due) = due.filter(|due| *due <= now) {
                self.invoke(run, client, due).await?;
                continue;
            }
            // Where nothing is due, this is never waited for.
            let next = due.unwrap_or(now);
            tokio::select! {
                () = run.stop.cancelled() => return Ok(()),
                received = client.receive(|message| self.take(run, &message, tally)) => received?,
                () = sleep_until(next), if due.is_some() => {
                    let due = schedule::woken(next.into(), Instant::now().into());
                    self.invoke(run, client, due.into()).await?;
                }
                _ = begun.changed(), if times.is_none() => {}
                _ = pings.tick() => client.ping(&run.server).await?,
            }
            if times.is_some_and(|times| times.until + LINGER < now) && !self.waiting.is_empty() {
                return Ok(());
            }
        }
    }

    /// Calls that were due and not made.
    fn unsent(&self, times: Option<Times>) -> u64 {
        let planned = times.and_then(|times| self.calls.planned(times.until - times.began));
        let own = planned.map_or(0, |planned| self.calls.planned_of(self.place, planned));
        own.saturating_sub(self.next)
    }

    /// When the next call is due; `None` where none may be made now.
    fn due(&self, times: Times, now: Instant) -> Option<Instant> {
        if self.waiting.len() >= self.calls.in_flight {
            return None;
        }
        let due = if self.calls.rate > 0.0 {
            let clients = self.calls.clients as f64;
            let turn = self.next as f64 * clients + self.place as f64;
            times.began + Duration::from_secs_f64(turn / self.calls.rate)
        } else {
            now
        };
        (due < times.until).then_some(due)
    }

    async fn invoke(
        &mut self,
        run: &Run,
        client: &mut Client,
        due: Instant,
    ) -> Result<(), ClientError> {
        let id = self.next;
        self.next += 1;
        let due = due.into_std().saturating_duration_since(run.started);
        self.waiting.push_back((id, due.as_nanos() as u64));
        add(&run.counts.sent, 1);
        let Calls {
            method, arguments, ..
        } = &*self.calls;
        client
            .invoke(&run.server, &id.to_string(), method, arguments)
            .await
    }

    fn take(&mut self, run: &Run, message: &HubMessage<'_>, tally: &mut Tally) {
        let HubMessage::Completion(completion) = message else {
            return;
        };
        let Ok(id) = completion.invocation_id.parse::<u64>() else {
            return;
        };
        let place = self.waiting.iter().position(|(waiting, _)| *waiting == id);
        let known = place.and_then(|place| self.waiting.remove(place));
        if tally.record(id) {
            add(&run.counts.received, 1);
        }
        if let CompletionOutcome::Error(error) = &completion.outcome {
            run.failed(error);
        }
        if let Some((_, due)) = known {
            run.arrived(self.place, due, run.now());
        }
    }
}
