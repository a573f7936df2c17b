//! Group commands that wait to be acknowledged.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicI32, Ordering},
};

use parking_lot::Mutex;
use tokio::sync::oneshot;

#[derive(Debug, Default)]
pub(super) struct Acks {
    next: AtomicI32,
    waiting: Mutex<HashMap<i32, oneshot::Sender<()>>>,
}

/// One command that waits. It is forgotten when it is dropped, so there are as
/// many as there are callers.
#[derive(Debug)]
pub(super) struct Waiting<'a> {
    acks: &'a Acks,
    id: i32,
    answer: oneshot::Receiver<()>,
}

impl Acks {
    pub(super) fn expect(&self) -> Waiting<'_> {
        // The first is 1, as .NET counts.
        let id = self.next.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let (sender, answer) = oneshot::channel();
        self.waiting.lock().insert(id, sender);
        Waiting {
            acks: self,
            id,
            answer,
        }
    }

    pub(super) fn acknowledge(&self, id: i32) {
        if let Some(waiting) = self.waiting.lock().remove(&id) {
            // Whoever waited may have given up.
            let _ = waiting.send(());
        }
    }
}

impl Waiting<'_> {
    pub(super) fn id(&self) -> i32 {
        self.id
    }

    pub(super) async fn acknowledged(mut self) {
        // Nobody else drops the sender, and this one only with the answer.
        let _ = (&mut self.answer).await;
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.acks.waiting.lock().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_waits_for_its_own_and_is_forgotten_when_given_up() {
        let acks = Acks::default();
        let (first, second) = (acks.expect(), acks.expect());
        assert_eq!((first.id(), second.id()), (1, 2));
        acks.acknowledge(2);
        acks.acknowledge(7);
        second.acknowledged().await;
        assert_eq!(acks.waiting.lock().len(), 1);
        drop(first);
        assert!(acks.waiting.lock().is_empty());
    }
}
