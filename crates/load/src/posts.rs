//! The other side of a delivery: posts that make the server send, by a plan
//! that does not wait for it.

use std::{
    collections::HashSet,
    fmt,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{task::JoinSet, time::sleep_until};

use crate::{
    http::{Answer, HttpConnection, HttpError},
    probe::Probe,
    run::{Run, add},
    schedule::{self, Plan, Send},
    socket,
    target::{self, Url},
};

/// A poster whose call failed pauses, so that a server that is gone is not hammered.
const PAUSE: Duration = Duration::from_millis(100);
/// Longer than the server itself waits.
const PATIENCE: Duration = Duration::from_secs(15);

/// What the posts say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An event that is logged for its user.
    Event,
    /// Progress, which is not logged.
    Progress,
    /// A message to every connection.
    Broadcast,
}

/// What is posted, where to, and how often.
#[derive(Clone)]
pub(crate) struct Posts {
    pub(crate) url: Url,
    pub(crate) address: SocketAddr,
    pub(crate) secret: String,
    pub(crate) kind: Kind,
    /// The name of the event.
    pub(crate) event: String,
    /// Text that is added to each message.
    pub(crate) padding: String,
    /// A second; 0 for as many as go.
    pub(crate) rate: f64,
    /// Calls under way at once.
    pub(crate) posters: u64,
}

impl fmt::Debug for Posts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Posts")
            .field("kind", &self.kind)
            .field("rate", &self.rate)
            .finish_non_exhaustive()
    }
}

/// What was posted.
#[derive(Debug)]
pub(crate) struct Posted {
    plan: Plan,
    /// How many each poster sent, refused ones among them.
    rounds: Vec<u64>,
    /// What the server did not take: user and number.
    refused: HashSet<(u64, u64)>,
}

impl Posted {
    /// What a receiver of `user` did not get of what the server took.
    pub(crate) fn lost(&self, tally: &crate::tally::Tally, user: u64) -> u64 {
        tally.lost(self.sent_to(user), |number| {
            self.refused.contains(&(user, number))
        })
    }

    /// How many messages `user` was sent, refused ones among them.
    fn sent_to(&self, user: u64) -> u64 {
        let sender = user % self.plan.senders();
        self.plan.sent_to(user, self.rounds[sender as usize])
    }

    /// How many messages the server took for `user`.
    pub(crate) fn taken_of(&self, user: u64) -> u64 {
        let refused = self.refused.iter().filter(|(to, _)| *to == user);
        self.sent_to(user) - refused.count() as u64
    }
}

/// Posts until `until`.
pub(crate) async fn post(run: &Arc<Run>, posts: Posts, until: Instant) -> Posted {
    let receivers = match posts.kind {
        Kind::Broadcast => 1,
        Kind::Event | Kind::Progress => run.server.users,
    };
    let plan = Plan::new(receivers, posts.posters);
    let posts = Arc::new(posts);
    let mut posters = JoinSet::new();
    let started = Instant::now();
    for sender in 0..plan.senders() {
        let poster = Poster {
            run: Arc::clone(run),
            posts: Arc::clone(&posts),
            plan,
            sender,
            started,
            refused: Vec::new(),
        };
        posters.spawn(poster.post(until));
    }
    let mut posted = Posted {
        plan,
        rounds: vec![0; plan.senders() as usize],
        refused: HashSet::new(),
    };
    while let Some(ended) = posters.join_next().await {
        if let Ok((sender, rounds, refused)) = ended {
            posted.rounds[sender as usize] = rounds;
            posted.refused.extend(refused);
        }
    }
    posted
}

/// One of those that post, each with a connection of its own.
struct Poster {
    run: Arc<Run>,
    posts: Arc<Posts>,
    plan: Plan,
    sender: u64,
    started: Instant,
    refused: Vec<(u64, u64)>,
}

impl Poster {
    async fn post(mut self, until: Instant) -> (u64, u64, Vec<(u64, u64)>) {
        let mut connection = None;
        let mut rounds = 0;
        loop {
            let send = self.plan.send(self.sender, rounds);
            let now = Instant::now();
            let mut due = match schedule::due(send.slot, self.posts.rate) {
                Some(after) => self.started + after,
                None => now,
            };
            // Nothing that is due is left out, late as it may be: it would be
            // the slowest of all. So there is a second limit.
            if due >= until || now >= until + PATIENCE {
                return (self.sender, rounds, self.refused);
            }
            if due > now {
                sleep_until(due.into()).await;
                due = schedule::woken(due, Instant::now());
            }
            rounds += 1;
            if let Err(error) = self.call(&mut connection, send, due).await {
                connection = None;
                self.run.failed(&error);
                self.refused.push((send.user, send.number));
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    async fn call(
        &self,
        connection: &mut Option<HttpConnection>,
        send: Send,
        due: Instant,
    ) -> Result<(), PostError> {
        let request = self.request(send, due);
        let call = async {
            let mut open = match connection.take() {
                Some(open) => open,
                None => HttpConnection::new(self.connect().await?),
            };
            let answer = open.call(&request).await?;
            if !answer.closes {
                *connection = Some(open);
            }
            Ok::<Answer, PostError>(answer)
        };
        let answer = tokio::time::timeout(PATIENCE, call).await;
        let answer = answer.map_err(|_| PostError::Timeout)??;
        if !(200..300).contains(&answer.status) {
            return Err(PostError::Refused(answer.status, excerpt(&answer.body)));
        }
        add(&self.run.counts.sent, 1);
        Ok(())
    }

    async fn connect(&self) -> Result<tokio::net::TcpStream, PostError> {
        let number = self.run.server.next_number();
        let address = self.posts.address;
        socket::connect(address, target::source(address, number))
            .await
            .map_err(|error| PostError::Http(error.into()))
    }

    fn request(&self, send: Send, due: Instant) -> Vec<u8> {
        let Posts { url, secret, .. } = &*self.posts;
        let body = self.body(send, due).to_string();
        let mut request = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nX-Internal-Secret: {secret}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            url.path,
            url.authority,
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(body.as_bytes());
        request
    }

    fn body(&self, send: Send, due: Instant) -> Value {
        let Posts {
            kind,
            event,
            padding,
            ..
        } = &*self.posts;
        let probe = Probe {
            run: self.run.id,
            stream: match kind {
                Kind::Broadcast => Probe::TO_ALL,
                Kind::Event | Kind::Progress => send.user,
            },
            number: send.number,
            due: (due - self.run.started).as_nanos() as u64,
        };
        let (probe, user) = (probe.text(), self.run.server.user_id(send.user));
        match kind {
            Kind::Event => json!({
                "event": event, "userId": user,
                "payload": { "probe": probe, "text": padding },
            }),
            Kind::Progress => json!({
                "userId": user,
                "notification": {
                    "analysisId": 1, "status": "Processing", "percent": 50,
                    "stage": "load", "message": probe + padding,
                },
            }),
            Kind::Broadcast => json!({ "event": event, "arguments": [probe + padding] }),
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum PostError {
    #[error("a post failed: {0}")]
    Http(#[from] HttpError),
    #[error("a post was not answered in {PATIENCE:?}")]
    Timeout,
    #[error("a post was answered {0}: {1}")]
    Refused(u16, String),
}

/// As much of a refusal as says why.
fn excerpt(body: &[u8]) -> String {
    let problem = serde_json::from_slice::<Value>(body).ok();
    let detail = problem
        .as_ref()
        .and_then(|problem| problem["detail"].as_str());
    let text = detail.map_or_else(|| String::from_utf8_lossy(body), Into::into);
    text.chars().take(120).collect()
}
