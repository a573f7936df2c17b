//! The receive steps: waits for what the recording shows and hands it to
//! `compare`. Never sends.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::compare::{self, Awaited, Mismatch, Progress, Rules};
use super::inbox::{self, Inbox, Received};
use super::play::{Player, failed};
use super::scenario::Action;
use super::sse::Events;
use super::websocket;

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
        let mut recorded = String::new();
        let mut events = Events::default();
        let (mut after, mut opcode) = (None, None);
        for (at, step) in self.scenario.steps.iter().enumerate().skip(index) {
            let same = step.conn == conn;
            match &step.action {
                Action::Recv { opcode: data, text } if same && *data < websocket::CLOSE => {
                    opcode = Some(*data);
                    recorded.push_str(text);
                }
                Action::SseRecv(text) if same => {
                    let payload = events.decode(text.as_bytes()).map_err(failed)?;
                    recorded.push_str(&String::from_utf8_lossy(&payload));
                }
                Action::Note(_) => continue,
                action if !same && action.is_receive() => continue,
                _ => break,
            }
            after = after.max(step.after_ms);
            self.done.push(at);
        }
        let mut awaited = Awaited::new(&recorded, self.rules(after.is_some()));
        let inbox = self.inbox(conn)?;
        let bindings = &mut self.bindings;
        let comments = events.comments;
        let outcome = inbox.wait(inbox::deadline(after), |received| {
            if received.comments < comments && received.end.is_none() {
                return None;
            }
            if let Some(expected) = opcode
                && received.opcodes.iter().any(|got| *got != expected)
            {
                let got = format!("{:?}", received.opcodes);
                return Some(Err(Mismatch::new(
                    format!("data frames of opcode {expected}"),
                    got,
                )));
            }
            match awaited.take(bindings, &mut received.data) {
                Ok(Progress::Complete) => Some(Ok(())),
                Ok(Progress::Waiting) if received.close.is_some() || received.end.is_some() => {
                    let end = format!("close {:?}, end {:?}", received.close, received.end);
                    Some(Err(Mismatch::new(String::new(), end)))
                }
                Ok(Progress::Waiting) => None,
                Err(mismatch) => Some(Err(mismatch)),
            }
        });
        let outcome = outcome.await;
        let missing = awaited.missing(&self.bindings);
        match outcome {
            Some(Err(mismatch)) if mismatch.expected.is_empty() => {
                Err(Mismatch::new(missing, mismatch.got))
            }
            Some(outcome) => outcome,
            None => {
                let left = compare::show(&inbox.lock().data);
                Err(Mismatch::new(
                    missing,
                    format!("nothing more in time; unread: {left}"),
                ))
            }
        }
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
        compare::leave_out(&mut inbox.lock().data, rules);
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
            compare::leave_out(&mut inbox.lock().data, rules);
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
            compare::leave_out(&mut received.data, rules);
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
