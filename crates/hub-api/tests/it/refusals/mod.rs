//! A table of bad requests and tokens: what each is answered, to the letter;
//! that none of them changes anything; and that the log of the whole run holds
//! no secret and no token of it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod process;
mod requests;
mod tokens;

use std::fmt::Write as _;

use reqwest::RequestBuilder;

use self::process::HubProcess;

/// The least that the table must hold.
const LEAST: usize = 60;

/// One bad request.
struct Case {
    name: &'static str,
    request: RequestBuilder,
}

#[tokio::test]
async fn every_bad_request_has_its_answer_changes_nothing_and_leaks_nothing() {
    let hub = HubProcess::start().await;
    hub.prepare().await;
    let before = hub.state().await;
    let mut cases = tokens::cases(&hub);
    cases.extend(requests::cases(&hub));
    assert!(cases.len() >= LEAST, "{} cases", cases.len());
    let mut answers = String::new();
    for Case { name, request } in cases {
        let answer = request.send().await.unwrap();
        let (status, wait) = (
            answer.status(),
            answer.headers().contains_key("retry-after"),
        );
        let challenge = answer.headers().get("www-authenticate").cloned();
        let body = answer.text().await.unwrap();
        assert!(status.is_client_error(), "{name}: {status} {body}");
        writeln!(answers, "{name}\n  {status}").unwrap();
        if let Some(challenge) = challenge {
            writeln!(answers, "  challenge: {}", challenge.to_str().unwrap()).unwrap();
        }
        if wait {
            writeln!(answers, "  retry-after").unwrap();
        }
        writeln!(
            answers,
            "  {}",
            if body.is_empty() { "(empty)" } else { &body }
        )
        .unwrap();
    }
    insta::assert_snapshot!("answers", answers);
    assert_eq!(hub.state().await, before, "something has changed");
    // The hub is as well as before.
    hub.prepare().await;
    let log = hub.stop();
    for secret in hub.used() {
        assert!(!log.contains(&secret), "the log holds {secret:?}");
    }
    for needed in ["auth.denied", "bad_token", "expired_token", "wrong secret"] {
        assert!(log.contains(needed), "the log lacks {needed}");
    }
}
