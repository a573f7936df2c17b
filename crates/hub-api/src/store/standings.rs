//! Where streams stand, for many who ask at once: after a deploy all clients
//! come back within seconds, and each is to know what it missed.
//!
//! Whoever has the turn reads for all that wait, in one statement; those who
//! come meanwhile are read for together after that. So a lone question waits
//! for nothing, and a crowd costs few statements.

use std::collections::HashMap;

use parking_lot::Mutex;
use tokio::sync::{Mutex as Turn, oneshot};

use super::{StoreError, Stream, StreamState, database::MAX_ROWS};

type Answer = Result<StreamState, StoreError>;

/// The questions that wait. There are never more than callers.
#[derive(Debug, Default)]
pub(super) struct Standings {
    waiting: Mutex<Vec<Question>>,
    turn: Turn<()>,
}

#[derive(Debug)]
struct Question {
    stream: Stream,
    reply: oneshot::Sender<Answer>,
}

impl Standings {
    /// Where `stream` stands by `read`, which is asked for at most
    /// [`MAX_ROWS`] streams at a time and answers for all of them.
    pub(super) async fn of<P, F>(&self, stream: &Stream, read: P) -> Answer
    where
        P: Fn(Vec<Stream>) -> F,
        F: Future<Output = Result<HashMap<Stream, StreamState>, StoreError>>,
    {
        let mut answer = self.ask(stream);
        loop {
            tokio::select! {
                biased;
                given = &mut answer => match given {
                    Ok(given) => return given,
                    // Who read for it was dropped meanwhile.
                    Err(_) => answer = self.ask(stream),
                },
                _turn = self.turn.lock() => self.answer_some(&read).await,
            }
        }
    }

    fn ask(&self, stream: &Stream) -> oneshot::Receiver<Answer> {
        let (reply, answer) = oneshot::channel();
        let stream = stream.clone();
        self.waiting.lock().push(Question { stream, reply });
        answer
    }

    /// Reads for those that have waited longest.
    async fn answer_some<P, F>(&self, read: &P)
    where
        P: Fn(Vec<Stream>) -> F,
        F: Future<Output = Result<HashMap<Stream, StreamState>, StoreError>>,
    {
        let mut questions = self.take(MAX_ROWS);
        if questions.is_empty() {
            return;
        }
        let streams = questions.iter().map(|each| each.stream.clone()).collect();
        let found = read(streams).await;
        if found.is_err() {
            // The others would only find the same, one share after the other.
            questions.extend(self.take(usize::MAX));
        }
        for Question { stream, reply } in questions {
            let answer = match &found {
                Ok(found) => found
                    .get(&stream)
                    .cloned()
                    .ok_or(StoreError::Unreadable { what: "stream" }),
                Err(error) => Err(error.clone()),
            };
            // Who is gone needs no answer.
            let _ = reply.send(answer);
        }
    }

    fn take(&self, most: usize) -> Vec<Question> {
        let mut waiting = self.waiting.lock();
        waiting.retain(|question| !question.reply.is_closed());
        let share = waiting.len().min(most);
        waiting.drain(..share).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use futures_util::future::join_all;
    use shared_dto::UserId;
    use tokio::sync::Semaphore;

    use super::*;

    /// A database that answers when it is allowed to: the head of a stream is
    /// the number of streams in its question.
    #[derive(Debug)]
    struct Database {
        allowed: Semaphore,
        questions: AtomicUsize,
        standings: Standings,
    }

    impl Database {
        fn new(allowed: usize) -> Arc<Self> {
            Arc::new(Self {
                allowed: Semaphore::new(allowed),
                questions: AtomicUsize::new(0),
                standings: Standings::default(),
            })
        }

        async fn read(
            &self,
            streams: Vec<Stream>,
        ) -> Result<HashMap<Stream, StreamState>, StoreError> {
            self.questions.fetch_add(1, Ordering::Relaxed);
            let allowed = self.allowed.acquire().await;
            allowed.map_err(|_| StoreError::TimedOut)?.forget();
            let state = StreamState {
                epoch: "e".into(),
                oldest: 1,
                head: i64::try_from(streams.len()).unwrap(),
                confirmed: 0,
                acknowledged: 0,
            };
            let states = streams.into_iter().map(|each| (each, state.clone()));
            Ok(states.collect())
        }

        async fn ask(self: Arc<Self>, user: i64) -> Answer {
            let stream = Stream::of_user(&UserId::from(user));
            self.standings
                .of(&stream, |streams| self.read(streams))
                .await
        }

        async fn until_asked(&self, times: usize) {
            while self.questions.load(Ordering::Relaxed) < times {
                tokio::task::yield_now().await;
            }
        }

        async fn until_waiting(&self, questions: usize) {
            while self.standings.waiting.lock().len() < questions {
                tokio::task::yield_now().await;
            }
        }
    }

    #[tokio::test]
    async fn those_who_come_while_one_reads_are_read_for_together() {
        let database = Database::new(0);
        let first = tokio::spawn(Arc::clone(&database).ask(0));
        database.until_asked(1).await;
        let others = (1..=20).map(|user| tokio::spawn(Arc::clone(&database).ask(user)));
        let others = join_all(others.collect::<Vec<_>>());
        database.until_waiting(20).await;
        database.allowed.add_permits(2);
        assert_eq!(first.await.unwrap().unwrap().head, 1);
        for other in others.await {
            assert_eq!(other.unwrap().unwrap().head, 20);
        }
        assert_eq!(database.questions.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn whoever_reads_may_be_dropped() {
        let database = Database::new(0);
        let first = tokio::spawn(Arc::clone(&database).ask(0));
        database.until_asked(1).await;
        let second = tokio::spawn(Arc::clone(&database).ask(1));
        first.abort();
        database.until_asked(2).await;
        database.allowed.add_permits(1);
        assert!(second.await.unwrap().is_ok());
    }

    #[tokio::test]
    async fn an_error_is_told_to_all_that_wait() {
        let database = Database::new(0);
        let all = (0..600).map(|user| tokio::spawn(Arc::clone(&database).ask(user)));
        let all = join_all(all.collect::<Vec<_>>());
        database.until_asked(1).await;
        database.until_waiting(599).await;
        database.allowed.close();
        for each in all.await {
            assert!(matches!(each.unwrap(), Err(StoreError::TimedOut)));
        }
        assert_eq!(database.questions.load(Ordering::Relaxed), 1);
    }
}
