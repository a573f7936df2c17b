//! Long polling: what a poll confirms, and who polls.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use signalr::{
    Authorization, Context, Hub, HubError, HubServer, Message, Principal, ReceiptSource,
};

use crate::requests::Requests;

/// Keeps the context of its client and what it is told to have arrived.
#[derive(Default)]
struct Post {
    clients: Mutex<Vec<Context>>,
    arrived: Mutex<Vec<u64>>,
}

impl Hub for Post {
    async fn on_connected(&self, context: &Context) -> Result<(), HubError> {
        self.clients.lock().push(context.clone());
        Ok(())
    }

    fn on_receipt(&self, _: &Context, tag: u64, source: ReceiptSource) {
        assert_eq!(source, ReceiptSource::Poll);
        self.arrived.lock().push(tag);
    }
}

impl Post {
    fn send(&self, name: &str, tag: u64) {
        let mut message = Message::new(name, &());
        assert!(self.clients.lock()[0].send(&mut message, tag).unwrap());
    }
}

/// The names of the events in an answer.
fn names(answer: &str) -> Vec<String> {
    let messages = answer.split_terminator('\u{1e}');
    let target = |message: &str| {
        let message: serde_json::Value = serde_json::from_str(message).unwrap();
        message["target"].as_str().unwrap_or("none").to_owned()
    };
    messages.map(target).collect()
}

/// A client whose answer was lost finds out long after, and polls again.
#[tokio::test]
async fn what_may_be_lost_is_sent_again_before_it_is_confirmed() {
    let post = Arc::new(Post::default());
    let hub = HubServer::builder(Arc::clone(&post)).build().unwrap();
    let requests = Requests::to(&hub);
    let target = requests.poll_first().await;
    let poll = || requests.ask("GET", &target, "");
    post.send("First", 0);
    post.send("Second", 1);
    post.send("Untagged", 0);
    assert_eq!(names(&poll().await), ["First", "Second", "Untagged"]);
    // Later than any client that has read the answer.
    tokio::time::sleep(Duration::from_millis(5500)).await;
    post.send("Third", 2);
    assert_eq!(names(&poll().await), ["First", "Second", "Third"]);
    assert!(post.arrived.lock().is_empty());
    post.send("Fourth", 0);
    assert_eq!(names(&poll().await), ["Fourth"]);
    assert_eq!(*post.arrived.lock(), [2]);
    requests.ask("DELETE", &target, "").await;
}

async fn secret() -> &'static str {
    "known"
}

#[tokio::test]
async fn a_poll_brings_fresh_authentication_of_the_same_user() {
    let hub = HubServer::builder(Post::default())
        .method("Secret", secret)
        .allow(Authorization::Role("admin".into()))
        .build()
        .unwrap();
    let anybody = Requests::to(&hub);
    let ada = anybody.by(Principal::new("ada"));
    let target = ada.poll_first().await;
    let call = "{\"type\":1,\"invocationId\":\"1\",\"target\":\"Secret\",\"arguments\":[]}\x1e";
    for (poll, granted) in [
        (ada.clone(), false),
        (anybody.by(Principal::new("bob").with_role("admin")), false),
        (anybody.by(Principal::new("ada").with_role("admin")), true),
        (anybody.clone(), true),
        (ada.clone(), false),
    ] {
        // It waits with its authentication until there is something.
        let waiting = poll.ask("GET", &target, "");
        let calling = async {
            tokio::task::yield_now().await;
            ada.ask("POST", &target, call).await
        };
        let (answer, _) = tokio::join!(waiting, calling);
        assert_eq!(answer.contains("\"result\":\"known\""), granted, "{answer}");
        assert_ne!(answer.contains("unauthorized"), granted, "{answer}");
    }
}
