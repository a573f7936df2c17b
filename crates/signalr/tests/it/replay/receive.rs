//! The receive steps: waits for what the recording shows and hands it to
//! `compare`. Never sends.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::awaited::{self, Awaited, Progress, Rules};
use super::compare::{self, Mismatch};
use super::inbox::{self, Inbox, Received};
use super::placeholder::Bindings;
use super::play::{Player, failed};
use super::scenario::Action;
use super::sse::Events;
use super::websocket;

/// Receive steps of one connection that are compared as one.
#[derive(Debug, Default)]
struct Run {
    steps: Vec<usize>,
    recorded: String,
    opcode: Option<u8>,
    comments: usize,
    after: Option<u64>,
}

/// Why a run cannot become complete.
enum Stop {
    Mismatch(Mismatch),
    /// The connection ended.
    Over(String),
}

impl Run {
    /// Takes what has come; `None` while more must come.
    fn take(
        &self,
        awaited: &mut Awaited,
        bindings: &mut Bindings,
        received: &mut Received,
    ) -> Result<Option<()>, Stop> {
        if received.comments < self.comments && received.end.is_none() {
            return Ok(None);
        }
        if let Some(expected) = self.opcode
            && received.opcodes.iter().any(|got| *got != expected)
        {
            let got = format!("{:?}", received.opcodes);
            let expected = format!("data frames of opcode {expected}");
            return Err(Stop::Mismatch(Mismatch::new(expected, got)));
        }
        match awaited
            .take(bindings, &mut received.data)
            .map_err(Stop::Mismatch)?
        {
            Progress::Complete => Ok(Some(())),
            Progress::Waiting if received.close.is_some() || received.end.is_some() => {
                Err(Stop::Over(format!(
                    "close {:?}, end {:?}",
                    received.close, received.end
                )))
            }
            Progress::Waiting => Ok(None),
        }
    }
}

impl Player<'_> {
    fn rules(&self, timed: bool) -> Rules {
        let short = self.scenario.steps.iter().any(|step| match &step.action {
            Action::WsOpen(request, _) | Action::SseOpen(request, _) => {
                request.path.contains("-short")
            }
            _ => false,
        });
        Rules {
            ignore_acks: !self.scenario.is_about_acks(),
            ignore_pings: timed || short || self.scenario.waits() > 10_000,
            any_order: self.streams_in_use,
        }
    }

    /// Compares consecutive receive steps of one connection as one, since frame
    /// borders mean nothing; steps of other connections may stand between.
    pub(super) async fn receive(&mut self, index: usize) -> Result<(), Mismatch> {
        let conn = self.scenario.steps[index].conn.as_str();
        let run = self.run_of(index)?;
        self.done.extend(&run.steps);
        let mut awaited = Awaited::new(&run.recorded, self.rules(run.after.is_some()));
        let inbox = self.inbox(conn)?;
        let bindings = &mut self.bindings;
        let outcome = inbox.wait(inbox::deadline(run.after), |received| {
            run.take(&mut awaited, bindings, received).transpose()
        });
        let outcome = outcome.await;
        let missing = awaited.missing(&self.bindings);
        match outcome {
            Some(Err(Stop::Mismatch(mismatch))) => Err(mismatch),
            Some(Err(Stop::Over(how))) => Err(Mismatch::new(missing, how)),
            Some(Ok(())) => Ok(()),
            None => {
                let left = compare::show(&inbox.lock().data);
                Err(Mismatch::new(
                    missing,
                    format!("nothing more in time; unread: {left}"),
                ))
            }
        }
    }

    /// Gathers the receive steps that belong together, from `index` on.
    fn run_of(&self, index: usize) -> Result<Run, Mismatch> {
        let conn = self.scenario.steps[index].conn.as_str();
        let mut run = Run::default();
        let mut events = Events::default();
        for (at, step) in self.scenario.steps.iter().enumerate().skip(index) {
            let same = step.conn == conn;
            match &step.action {
                Action::Recv { opcode, text } if same && *opcode < websocket::CLOSE => {
                    run.opcode = Some(*opcode);
                    run.recorded.push_str(text);
                }
                Action::SseRecv(text) if same => {
                    let payload = events.decode(text.as_bytes()).map_err(failed)?;
                    run.recorded.push_str(&String::from_utf8_lossy(&payload));
                }
                Action::Note(_) => continue,
                action if !same && action.is_receive() => continue,
                _ => break,
            }
            run.after = run.after.max(step.after_ms);
            run.steps.push(at);
        }
        run.comments = events.comments;
        Ok(run)
    }

    pub(super) async fn control(
        &mut self,
        conn: &str,
        opcode: u8,
        text: &str,
        after: Option<u64>,
    ) -> Result<(), Mismatch> {
        let inbox = self.inbox(conn)?;
        let expected = (opcode, self.bindings.substitute(text).into_bytes());
        let first = inbox.wait(inbox::deadline(after), |received| {
            received.controls.pop_front()
        });
        let first = first.await;
        if first.as_ref() == Some(&expected) {
            return Ok(());
        }
        Err(Mismatch::new(
            format!("control frame {expected:?}"),
            format!("{first:?}"),
        ))
    }

    pub(super) async fn lengths(
        &mut self,
        conn: &str,
        total: usize,
        after: Option<u64>,
    ) -> Result<(), Mismatch> {
        let inbox = self.inbox(conn)?;
        let whole = inbox.wait(inbox::deadline(after), |received| {
            (received.data.len() >= total).then(|| std::mem::take(&mut received.data))
        });
        match whole.await {
            Some(data) if data.len() == total => Ok(()),
            Some(data) => Err(Mismatch::new(
                format!("{total} bytes"),
                format!("{}", data.len()),
            )),
            None => Err(Mismatch::new(format!("{total} bytes"), "fewer in time")),
        }
    }

    pub(super) async fn server_close(
        &mut self,
        conn: &str,
        code: u16,
        reason: &str,
        after: Option<u64>,
    ) -> Result<(), Mismatch> {
        let inbox = self.inbox(conn)?;
        let expected = format!("close frame {code} {reason:?}");
        let ended = inbox.wait(inbox::deadline(after), |received| {
            let over = received.close.is_some() || received.end.is_some();
            over.then(|| (received.close.clone(), received.end.clone()))
        });
        let close = match ended.await {
            Some((Some(close), _)) => close,
            Some((None, end)) => return Err(Mismatch::new(expected, format!("end {end:?}"))),
            None => return Err(Mismatch::new(expected, "nothing in time")),
        };
        let rules = self.rules(after.is_some());
        awaited::leave_out(&mut inbox.lock().data, rules);
        let left = inbox.lock().data.clone();
        if (close.0, close.1.as_str()) != (code, reason) {
            return Err(Mismatch::new(
                expected,
                format!("close frame {} {:?}", close.0, close.1),
            ));
        } else if !left.is_empty() {
            return Err(Mismatch::new(
                expected,
                format!("before it {}", compare::show(&left)),
            ));
        }
        Ok(())
    }

    /// The end of the byte stream. Whether a kernel ends TCP by FIN or RST
    /// depends on what it has not read, so only event streams tell `how`.
    pub(super) async fn end_of(
        &mut self,
        conn: &str,
        how: Option<&str>,
        after: Option<u64>,
    ) -> Result<(), Mismatch> {
        let inbox = self.inbox(conn)?;
        let end = inbox.wait(inbox::deadline(after), |received| received.end.clone());
        let (end, data) = (end.await, inbox.lock().data.clone());
        let as_recorded = match (how, end.as_deref()) {
            (Some(how), Some(end)) => how == end,
            (None, Some(end)) => matches!(end, "eof" | "reset"),
            (_, None) => false,
        };
        if as_recorded && data.is_empty() {
            return Ok(());
        }
        let got = format!("end {end:?}, before it {}", compare::show(&data));
        Err(Mismatch::new(
            format!("end {:?}", how.unwrap_or("of TCP")),
            got,
        ))
    }

    pub(super) async fn silence(&mut self, conn: &str, millis: u64) -> Result<(), Mismatch> {
        let over = |inbox: &Inbox| {
            let received = inbox.lock();
            received.close.is_some() || received.end.is_some()
        };
        // A scenario that gave up the default connection is silent on the others.
        let named = self.connections.get(conn);
        let watched: Vec<_> = match named {
            Some(connection) => vec![Arc::clone(connection.inbox())],
            None => self
                .connections
                .values()
                .map(|other| Arc::clone(other.inbox()))
                .collect(),
        };
        let before: Vec<bool> = watched.iter().map(|inbox| over(inbox)).collect();
        sleep(Duration::from_millis(millis)).await;
        for (inbox, was_over) in watched.iter().zip(before) {
            let rules = self.rules(false);
            awaited::leave_out(&mut inbox.lock().data, rules);
            let is_over = over(inbox);
            let received = inbox.lock();
            let quiet = received.data.is_empty() && received.controls.is_empty();
            if !quiet || is_over != was_over {
                let expected = format!("silence for {millis} ms");
                return Err(Mismatch::new(expected, describe(&received)));
            }
        }
        Ok(())
    }

    /// What came and was in no recorded step.
    pub(super) fn nothing_is_left(&self) -> Result<(), Mismatch> {
        for (conn, connection) in &self.connections {
            let rules = Rules {
                ignore_pings: true,
                ignore_acks: true,
                any_order: false,
            };
            let mut received = connection.inbox().lock();
            awaited::leave_out(&mut received.data, rules);
            if !received.data.is_empty() {
                return Err(Mismatch::new(
                    format!("nothing more on {conn}"),
                    describe(&received),
                ));
            }
        }
        Ok(())
    }
}

fn describe(received: &Received) -> String {
    format!(
        "{} controls {:?} close {:?} end {:?}",
        compare::show(&received.data),
        received.controls,
        received.close,
        received.end
    )
}
