//! Uploads whose ids a client uses again.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt as _;
use parking_lot::Mutex;
use signalr::{Hub, HubError, HubServer, State, Upload, UploadError};

use crate::{client::PATIENCE, requests::Requests};

struct Adder;
impl Hub for Adder {}

async fn sum(mut numbers: Upload<i32>) -> Result<i32, HubError> {
    let mut sum = 0;
    while let Some(number) = numbers.next().await {
        sum += number.map_err(|error| HubError::new(error.to_string()))?;
    }
    Ok(sum)
}

/// The first call's end must not take the second call's upload away.
#[tokio::test]
async fn an_id_may_be_used_again_once_its_upload_ended() {
    let hub = HubServer::builder(Adder)
        .method("Sum", sum)
        .detailed_errors(true)
        .build()
        .unwrap();
    let requests = Requests::to(&hub);
    let target = requests.poll_first().await;
    let call = |id: u8, number: u8| {
        format!(
            "{{\"type\":1,\"invocationId\":\"{id}\",\"target\":\"Sum\",\"arguments\":[],\"streamIds\":[\"s\"]}}\x1e\
             {{\"type\":2,\"invocationId\":\"s\",\"item\":{number}}}\x1e\
             {{\"type\":3,\"invocationId\":\"s\"}}\x1e"
        )
    };
    let said = format!("{}{}", call(1, 20), call(2, 30));
    requests.ask("POST", &target, &said).await;
    let mut answers = String::new();
    while answers.matches("\"type\":3").count() < 2 {
        answers.push_str(&requests.ask("GET", &target, "").await);
    }
    assert!(
        answers.contains("\"invocationId\":\"1\",\"result\":20}"),
        "{answers}"
    );
    assert!(
        answers.contains("\"invocationId\":\"2\",\"result\":30}"),
        "{answers}"
    );
    requests.ask("DELETE", &target, "").await;
}

/// Writes down how each upload ended.
#[derive(Default)]
struct Ends(Mutex<Vec<UploadError>>);

impl Hub for Ends {}

async fn read_to_end(ends: &Ends, mut numbers: Upload<i32>) {
    while let Some(number) = numbers.next().await {
        if let Err(error) = number {
            ends.0.lock().push(error);
        }
    }
}

async fn read(ends: State<Arc<Ends>>, numbers: Upload<i32>) {
    read_to_end(&ends, numbers).await;
}

async fn read_two(ends: State<Arc<Ends>>, first: Upload<i32>, second: Upload<i32>) {
    tokio::join!(read_to_end(&ends, first), read_to_end(&ends, second));
}

/// The id is taken over silently, and the earlier reader waits: but no longer
/// than the connection lasts.
#[tokio::test]
async fn an_upload_whose_id_was_taken_over_ends_with_its_connection() {
    let ends = Arc::new(Ends::default());
    let hub = HubServer::builder(Arc::clone(&ends))
        .method("Read", read)
        .method("ReadTwo", read_two)
        .build()
        .unwrap();
    let requests = Requests::to(&hub);
    let target = requests.poll_first().await;
    let call = |method: &str, ids: &str| {
        format!(
            "{{\"type\":1,\"invocationId\":\"1\",\"target\":\"{method}\",\"arguments\":[],\"streamIds\":[{ids}]}}\x1e"
        )
    };
    let calls = call("Read", "\"s\"").repeat(3) + &call("ReadTwo", "\"s\",\"s\"");
    requests.ask("POST", &target, &calls).await;
    requests.ask("DELETE", &target, "").await;
    let ended = async {
        while ends.0.lock().len() < 5 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, ended).await;
    let ends = ends.0.lock();
    assert!(in_time.is_ok(), "only {ends:?}");
    assert!(ends.iter().all(|end| *end == UploadError::Disconnected));
}
