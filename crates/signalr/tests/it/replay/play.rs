//! Plays one scenario against a server, step by step. Owns the connections of
//! the scenario and the order of its steps; judging is left to `compare`.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::compare::{self, Mismatch};
use super::http::{self, Response};
use super::inbox::Inbox;
use super::placeholder::Bindings;
use super::scenario::{Action, Expected, OutgoingFrame, Payload, Request, Scenario, Step};
use super::sse::{self, EventStream};
use super::websocket::{self, Upgrade, WebSocket};
use super::{Difference, Target};

/// Longer than any answer that a recording waits for.
pub(super) const LONGEST_ANSWER: Duration = Duration::from_secs(40);

/// How much earlier than measured the server may act: its timers run on a
/// tick of a second, whose phase differs from run to run.
const EARLY: Duration = Duration::from_millis(1600);

/// Plays all steps and reports the first difference.
pub(crate) async fn play(target: &Target, scenario: &Scenario) -> Result<(), Difference> {
    let mut player = Player::new(target, scenario);
    let mut index = 0;
    while index < scenario.steps.len() {
        let next = player
            .step(index)
            .await
            .map_err(|mismatch| player.difference(index, mismatch))?;
        index = next;
    }
    player
        .nothing_is_left()
        .map_err(|mismatch| player.difference(scenario.steps.len(), mismatch))
}

pub(super) struct Player<'a> {
    pub(super) target: &'a Target,
    pub(super) scenario: &'a Scenario,
    pub(super) bindings: Bindings,
    pub(super) connections: HashMap<&'a str, Connection>,
    pub(super) requests: HashMap<&'a str, JoinHandle<io::Result<Response>>>,
    /// Receive steps that were compared together with an earlier one.
    pub(super) done: Vec<usize>,
    started: Instant,
    pub(super) streams_in_use: bool,
    answers_close: bool,
}

#[derive(Debug)]
pub(super) enum Connection {
    WebSocket(WebSocket),
    Events(EventStream),
}

impl Connection {
    pub(super) fn inbox(&self) -> &Arc<Inbox> {
        match self {
            Self::WebSocket(socket) => &socket.inbox,
            Self::Events(events) => &events.inbox,
        }
    }
}

impl<'a> Player<'a> {
    fn new(target: &'a Target, scenario: &'a Scenario) -> Self {
        Self {
            target,
            scenario,
            bindings: Bindings::default(),
            connections: HashMap::new(),
            requests: HashMap::new(),
            done: Vec::new(),
            started: Instant::now(),
            streams_in_use: false,
            answers_close: !scenario.leaves_close_unanswered(),
        }
    }

    /// Plays one step and gives the index of the next.
    async fn step(&mut self, index: usize) -> Result<usize, Mismatch> {
        let step = &self.scenario.steps[index];
        let conn = step.conn.as_str();
        if self.done.contains(&index) {
            return Ok(index + 1);
        }
        match &step.action {
            Action::Http(request, expected) if request.path.starts_with("/events/") => {
                self.record(request, expected).await?;
            }
            Action::Http(request, expected) => {
                let answer = self.exchange(request).await;
                self.forget_negotiated(request, expected);
                self.check_answer(expected, answer)?;
            }
            Action::HttpStart(id, request) => self.start(id, request).await?,
            Action::HttpEnd(id, expected) => {
                if self.scenario.about.contains("not normative which") {
                    return self.end_race(index).await;
                }
                let answer = self.end(id).await;
                self.check_answer(expected, answer)?;
            }
            Action::HttpDrop(id) => {
                if let Some(request) = self.requests.remove(id.as_str()) {
                    request.abort();
                }
            }
            Action::HttpBroken(request) => {
                let request = self.bound(request);
                http::send_broken(self.target.address, &request)
                    .await
                    .map_err(failed)?;
            }
            Action::WsOpen(request, expected) => self.open_socket(conn, request, expected).await?,
            Action::SseOpen(request, expected) => self.open_events(conn, request, expected).await?,
            Action::Send(frame) => self.send(conn, frame).await?,
            Action::Recv { opcode, text } if *opcode >= websocket::CLOSE => {
                self.control(conn, *opcode, text, step.after_ms).await?;
            }
            Action::Recv { .. } | Action::SseRecv(_) => self.receive(index).await?,
            Action::RecvLengths(lengths) => {
                self.lengths(conn, lengths.iter().sum(), step.after_ms)
                    .await?;
            }
            Action::ClientClose { code, reason } => {
                self.socket(conn)?
                    .close(*code, reason)
                    .await
                    .map_err(failed)?;
            }
            Action::ServerClose { code, reason } => {
                self.server_close(conn, *code, reason, step.after_ms)
                    .await?;
            }
            Action::SseEnd(how) => self.end_of(conn, Some(how), step.after_ms).await?,
            Action::TcpEnd => self.end_of(conn, None, step.after_ms).await?,
            Action::TcpDrop => drop(self.connections.remove(conn)),
            Action::Silence(millis) => self.silence(conn, *millis).await?,
            Action::Wait(millis) => sleep(Duration::from_millis(*millis)).await,
            Action::ServerStop => self.target.stop(),
            Action::Note(_) => {}
        }
        self.not_too_early(step)?;
        Ok(index + 1)
    }

    fn difference(&self, step: usize, mismatch: Mismatch) -> Difference {
        Difference {
            step,
            expected: mismatch.expected,
            got: mismatch.got,
        }
    }

    /// Only ends and answers are held to their time: the recorder made pauses
    /// between messages that are no steps. From the scenario's start on, which
    /// is what is measured here, it can only be more.
    fn not_too_early(&self, step: &Step) -> Result<(), Mismatch> {
        let is_timed = matches!(
            step.action,
            Action::Http(..)
                | Action::HttpEnd(..)
                | Action::ServerClose { .. }
                | Action::SseEnd(_)
                | Action::TcpEnd
        );
        let recorded = Duration::from_millis(step.after_ms.filter(|_| is_timed).unwrap_or(0));
        let elapsed = self.started.elapsed();
        if elapsed + EARLY >= recorded {
            return Ok(());
        }
        Err(Mismatch::new(
            format!("after {recorded:?}"),
            format!("after {elapsed:?} at most"),
        ))
    }

    pub(super) fn bound(&self, request: &Request) -> Request {
        let mut bound = request.clone();
        bound.path = self.bindings.substitute(&request.path);
        bound.body = request
            .body
            .as_ref()
            .map(|body| self.bindings.substitute(body));
        for (_, value) in &mut bound.headers {
            *value = self.bindings.substitute(value);
        }
        bound
    }

    async fn open_socket(
        &mut self,
        conn: &'a str,
        request: &Request,
        expected: &Expected,
    ) -> Result<(), Mismatch> {
        self.connections.remove(conn);
        let request = self.bound(request);
        let opening = websocket::open(self.target.address, request, self.answers_close);
        let upgrade = timeout(LONGEST_ANSWER, opening).await;
        let response = match upgrade.map_err(io::Error::from).flatten().map_err(failed)? {
            Upgrade::Open(socket, response) => {
                self.connections.insert(conn, Connection::WebSocket(socket));
                response
            }
            Upgrade::Refused(response) => response,
        };
        compare::response(&mut self.bindings, expected, &response)
    }

    async fn open_events(
        &mut self,
        conn: &'a str,
        request: &Request,
        expected: &Expected,
    ) -> Result<(), Mismatch> {
        self.connections.remove(conn);
        let request = self.bound(request);
        let opening = timeout(LONGEST_ANSWER, sse::open(self.target.address, &request)).await;
        let (events, response) = opening.map_err(io::Error::from).flatten().map_err(failed)?;
        if let Some(events) = events {
            self.connections.insert(conn, Connection::Events(events));
        }
        compare::response(&mut self.bindings, expected, &response)
    }

    async fn send(&mut self, conn: &str, frame: &OutgoingFrame) -> Result<(), Mismatch> {
        let payload = match &frame.payload {
            Payload::Text(text) => self.bindings.substitute(text).into_bytes(),
            Payload::Bytes(bytes) => bytes.clone(),
        };
        let uses_stream = |needle: &[u8]| payload.windows(needle.len()).any(|part| part == needle);
        self.streams_in_use |= uses_stream(b"\"type\":4") || uses_stream(b"\"streamIds\":[\"");
        let fin = if frame.fin { 0x80 } else { 0 };
        let head = fin | frame.rsv | frame.opcode;
        self.socket(conn)?
            .send(head, frame.mask, &payload)
            .await
            .map_err(failed)
    }

    fn socket(&self, conn: &str) -> Result<&WebSocket, Mismatch> {
        match self.connections.get(conn) {
            Some(Connection::WebSocket(socket)) => Ok(socket),
            _ => Err(Mismatch::new(format!("an open WebSocket {conn}"), "none")),
        }
    }

    pub(super) fn inbox(&self, conn: &str) -> Result<Arc<Inbox>, Mismatch> {
        let connection = self.connections.get(conn);
        let inbox = connection.map(|connection| Arc::clone(connection.inbox()));
        inbox.ok_or_else(|| Mismatch::new(format!("an open connection {conn}"), "none"))
    }
}

pub(super) fn failed(error: impl std::fmt::Display) -> Mismatch {
    Mismatch::new("the step to work", error.to_string())
}
