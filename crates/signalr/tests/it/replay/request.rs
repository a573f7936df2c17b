//! The plain HTTP steps: requests, pending ones among them, and their answers.

use std::io;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::compare::{self, Mismatch};
use super::http::{self, Response};
use super::play::{LONGEST_ANSWER, Player, failed};
use super::scenario::{Action, Expected, Request};

/// In which a request arrives at a server that cannot tell when it has.
const TO_ARRIVE: Duration = Duration::from_millis(60);

/// Longer than a server takes to write down that a connection ended.
const LONGEST_RECORD: Duration = Duration::from_secs(20);

impl<'a> Player<'a> {
    pub(super) async fn exchange(&self, request: &Request) -> io::Result<Response> {
        let request = self.bound(request);
        timeout(
            LONGEST_ANSWER,
            http::exchange(self.target.address, &request),
        )
        .await?
    }

    /// Every negotiation makes new ids, also where a recording that never
    /// uses them gives them the same names.
    pub(super) fn forget_negotiated(&mut self, request: &Request, expected: &Expected) {
        if request.path.contains("/negotiate")
            && let Expected::Answer {
                body: Some(body), ..
            } = expected
        {
            self.bindings.forget_ids_in(body);
        }
    }

    /// Sends a request whose answer comes later. The next step finds it at the
    /// server.
    pub(super) async fn start(&mut self, id: &'a str, request: &Request) -> Result<(), Mismatch> {
        let (address, request) = (self.target.address, self.bound(request));
        let begun = self.target.begun.clone();
        let before = begun.as_ref().map_or(0, |begun| *begun.borrow());
        let pending =
            async move { timeout(LONGEST_ANSWER, http::exchange(address, &request)).await? };
        self.requests.insert(id, tokio::spawn(pending));
        let Some(mut begun) = begun else {
            sleep(TO_ARRIVE).await;
            return Ok(());
        };
        let arrived = begun.wait_for(|begun| *begun > before);
        match timeout(LONGEST_ANSWER, arrived).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(Mismatch::new(format!("request {id} to arrive"), "nothing")),
        }
    }

    /// The server's record of a connection, which it writes when it comes to
    /// it: asked for again until it is as recorded.
    pub(super) async fn record(
        &mut self,
        request: &Request,
        expected: &Expected,
    ) -> Result<(), Mismatch> {
        let give_up = Instant::now() + LONGEST_RECORD;
        loop {
            let before = self.bindings.clone();
            let answer = self.exchange(request).await;
            let checked = self.check_answer(expected, answer);
            if checked.is_ok() || Instant::now() > give_up {
                return checked;
            }
            self.bindings = before;
            sleep(TO_ARRIVE).await;
        }
    }

    pub(super) async fn end(&mut self, id: &str) -> io::Result<Response> {
        let request = self.requests.remove(id);
        let request = request.ok_or_else(|| io::Error::other(format!("no request {id}")))?;
        request.await.map_err(io::Error::other)?
    }

    pub(super) fn check_answer(
        &mut self,
        expected: &Expected,
        answer: io::Result<Response>,
    ) -> Result<(), Mismatch> {
        match (expected, answer) {
            (Expected::Aborted, Err(error)) if error.kind() != io::ErrorKind::TimedOut => Ok(()),
            (expected, Ok(answer)) => compare::response(&mut self.bindings, expected, &answer),
            (expected, Err(error)) => Err(Mismatch::new(
                format!("{expected:?}"),
                format!("no answer: {error}"),
            )),
        }
    }

    /// Several polls racing for one connection: one of them gets the data, the
    /// others 204 or 409, and which is which is open.
    pub(super) async fn end_race(&mut self, index: usize) -> Result<usize, Mismatch> {
        let mut winners = Vec::new();
        let mut next = index;
        while let Some(step) = self.scenario.steps.get(next)
            && let Action::HttpEnd(id, expected) = &step.action
        {
            let answer = self.end(id).await.map_err(failed)?;
            match answer.status {
                204 | 409 => {}
                _ => winners.push(answer),
            }
            if let Expected::Answer { status: 200, .. } = expected {
                self.done.push(next);
            }
            next += 1;
        }
        let data = self.scenario.steps[index..next]
            .iter()
            .find_map(|step| match &step.action {
                Action::HttpEnd(_, expected @ Expected::Answer { status: 200, .. }) => {
                    Some(expected)
                }
                _ => None,
            });
        match (data, winners.as_slice()) {
            (Some(expected), [answer]) => {
                compare::response(&mut self.bindings, expected, answer)?;
                Ok(next)
            }
            _ => Err(Mismatch::new("one poll with data", format!("{winners:?}"))),
        }
    }
}
