//! Questions to the other nodes, and the answers to theirs.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use parking_lot::Mutex;
use shared_dto::{UserId, connection::ConnectionInfo};
use tokio::{sync::mpsc, time::timeout};

use super::{
    ALL_NODES, Nodes, channel_of,
    message::{Addressed, Answer, Question},
    tell,
};
use crate::delivery::Delivery;

/// Questions of other nodes that may wait.
pub(super) const WAITING: usize = 1024;

/// A node that has not answered by then is not waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// Questions that this node may have open.
const OPEN: usize = 1024;

/// More nodes than this are not waited for.
const MOST_NODES: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Questions {
    next: AtomicU64,
    open: Mutex<HashMap<u64, mpsc::Sender<Answer>>>,
}

/// An open question; closed when it is dropped.
struct Open<'a> {
    questions: &'a Questions,
    id: u64,
    answers: mpsc::Receiver<Answer>,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.questions.open.lock().remove(&self.id);
    }
}

impl Questions {
    fn open(&self) -> Option<Open<'_>> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answers) = mpsc::channel(MOST_NODES);
        let mut open = self.open.lock();
        if open.len() >= OPEN {
            return None;
        }
        open.insert(id, sender);
        Some(Open {
            questions: self,
            id,
            answers,
        })
    }

    pub(super) fn answered(&self, id: u64, answer: Answer) {
        if let Some(asker) = self.open.lock().get(&id) {
            // More answers than there can be nodes are not wanted.
            let _ = asker.try_send(answer);
        }
    }
}

/// What became of a question to one node.
pub(super) enum Asked {
    /// There is no such node.
    Nobody,
    /// It did not answer, or could not be asked.
    Unknown,
    /// It answered.
    Answered(Answer),
}

impl Nodes {
    /// The user's connections on the other nodes, as far as these answer in time.
    pub async fn connections_elsewhere(&self, user: &UserId) -> Vec<ConnectionInfo> {
        let question = Question::Connections { user: user.clone() };
        let answers = self.ask_all(question).await.0.into_iter();
        let lists = answers.filter_map(|answer| match answer {
            Answer::Connections(connections) => Some(connections),
            _ => None,
        });
        lists.flatten().collect()
    }

    /// Closes the user's connections on the other nodes; gives their number,
    /// as far as these answer in time.
    pub async fn close_connections_elsewhere(&self, user: &UserId) -> usize {
        let question = Question::Close { user: user.clone() };
        let answers = self.ask_all(question).await.0.into_iter();
        let counts = answers.filter_map(|answer| match answer {
            Answer::Closed(count) => Some(count),
            _ => None,
        });
        counts.sum()
    }

    /// The answers that came in time, and how many are missing.
    pub(super) async fn ask_all(&self, question: Question) -> (Vec<Answer>, usize) {
        let (mut answers, mut asked) = (Vec::new(), 0);
        let Some(redis) = self
            .shared
            .redis
            .as_ref()
            .filter(|redis| redis.link.is_up())
        else {
            return (answers, asked);
        };
        let Some(mut open) = redis.questions.open() else {
            return (answers, asked);
        };
        let Some(channel) = self.channel(ALL_NODES) else {
            return (answers, asked);
        };
        let message = self.question(open.id, question);
        let asking = async {
            let Ok(heard) = tell(&redis.link, &channel, &message).await else {
                return;
            };
            // This node hears it, too.
            asked = heard.min(MOST_NODES).saturating_sub(1);
            for _ in 0..asked {
                match open.answers.recv().await {
                    Some(answer) => answers.push(answer),
                    None => return,
                }
            }
        };
        if timeout(PATIENCE, asking).await.is_err() {
            tracing::warn!("another node does not answer");
        }
        let silent = asked.saturating_sub(answers.len());
        (answers, silent)
    }

    pub(super) async fn ask(&self, node: &str, question: Question) -> Asked {
        let Some(redis) = &self.shared.redis else {
            return Asked::Unknown;
        };
        let Some(mut open) = redis.questions.open() else {
            return Asked::Unknown;
        };
        let message = self.question(open.id, question);
        let asking = async {
            match tell(&redis.link, &channel_of(node), &message).await {
                Ok(0) => Asked::Nobody,
                Ok(_) => open
                    .answers
                    .recv()
                    .await
                    .map_or(Asked::Unknown, Asked::Answered),
                Err(_) => Asked::Unknown,
            }
        };
        timeout(PATIENCE, asking).await.unwrap_or(Asked::Unknown)
    }

    fn question(&self, id: u64, question: Question) -> Addressed {
        Addressed::Question {
            from: self.shared.id.clone(),
            id,
            question,
        }
    }
}

/// Answers the questions of other nodes, for ever.
pub(super) async fn answer(
    mut questions: mpsc::Receiver<Addressed>,
    nodes: &Nodes,
    delivery: &Delivery,
) {
    let Some(redis) = &nodes.shared.redis else {
        return;
    };
    while let Some(message) = questions.recv().await {
        let Addressed::Question { from, id, question } = message else {
            continue;
        };
        let answer = match question {
            Question::Connections { user } => Answer::Connections(delivery.connections_here(&user)),
            Question::Close { user } => Answer::Closed(delivery.close_connections_here(&user)),
            Question::MakeRoom { user, ids, wanted } => {
                Answer::Gone(delivery.make_room_here(&user, ids, wanted))
            }
            Question::Totals => Answer::Totals(nodes.totals_here()),
        };
        let message = Addressed::Answer {
            from: nodes.shared.id.clone(),
            to: id,
            answer,
        };
        if let Err(error) = tell(&redis.link, &channel_of(&from), &message).await {
            tracing::debug!(%error, "a question of another node is not answered");
        }
    }
}
