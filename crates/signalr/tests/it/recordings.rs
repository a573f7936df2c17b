//! Every recording of the real server, replayed against `conformance_hub`. A
//! difference fails the test, unless it is one of those that stay; one of
//! those that is gone fails it too.

use std::fmt::Write as _;
use std::future::poll_fn;
use std::path::Path;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use signalr::HubServer;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::replay::scenario::Scenario;
use crate::replay::{Outcome, Target, read_folder, replay_all};
use crate::service;

/// A scenario in which this crate does something else than ASP.NET Core.
struct Deviation {
    scenario: &'static str,
    /// What the first difference shows of what it does instead.
    instead: &'static str,
    reason: &'static str,
}

const SKIPPED: &str = "a message of an unknown type is skipped, whatever the size limit is: the \
                       server stays deaf to all that comes behind it";
const COUNTED: &str = "every StreamItem counts as the client counts it: with those left out that \
                       do not bind, the ids of both sides drift apart until a reattach fails";
const DRAINED: &str = "clients are told to reconnect when the server stops, where ASP.NET Core \
                       resets WebSockets and ends event streams in silence";

const DEVIATIONS: &[Deviation] = &[
    skipped("protocol-errors/type-0", "alive"),
    skipped("protocol-errors/type-42", "alive"),
    skipped("protocol-errors/type-42-between", "three"),
    skipped("protocol-errors/type-42-in-front-same-frame", "one"),
    skipped("protocol-errors/type-42-no-limit", "two"),
    skipped("protocol-errors/type-42-then-more", "one"),
    skipped("protocol-errors/type-42-with-properties", "alive"),
    skipped("protocol-errors/type-minus-1", "alive"),
    counted("stateful/acks", "\"sequenceId\":5"),
    counted(
        "stateful/acks-count-stream-item-wrong-type",
        "\"sequenceId\":4",
    ),
    counted(
        "stateful/acks-count-unknown-stream-item",
        "\"sequenceId\":2",
    ),
    drained("shutdown/sse"),
    drained("shutdown/stateful"),
    drained("shutdown/websocket"),
    drained("shutdown/websocket-busy"),
    Deviation {
        scenario: "stateful/inbound-half-message",
        instead: "\"invocationId\":\"2\",\"result\":\"2\"",
        reason: "half a message of the dropped socket is forgotten at the reattach: the client \
                 sends it again, whole, behind its Sequence",
    },
    Deviation {
        scenario: "stateful/reattach-while-alive",
        instead: "101",
        reason: "a reattach takes over at once, though the old socket still lives: the client \
                 knows better than the server which of its sockets works",
    },
    Deviation {
        scenario: "stateful/buffer-limit-deadlock",
        instead: "\"invocationId\":\"3\"",
        reason: "Acks are read while an invocation waits for its slot, so that they free the \
                 buffer that the one in front waits for",
    },
    Deviation {
        scenario: "handshake/protocol-messagepack",
        instead: "[2]",
        reason: "the recorded server had the JSON protocol alone; this crate has MessagePack",
    },
    Deviation {
        scenario: "sse/raw-newlines",
        instead: "404",
        reason: "the recorded path has no hub, only a connection handler, which this crate has not",
    },
];

const fn skipped(scenario: &'static str, instead: &'static str) -> Deviation {
    Deviation {
        scenario,
        instead,
        reason: SKIPPED,
    }
}

const fn counted(scenario: &'static str, instead: &'static str) -> Deviation {
    Deviation {
        scenario,
        instead,
        reason: COUNTED,
    }
}

const fn drained(scenario: &'static str) -> Deviation {
    Deviation {
        scenario,
        instead: "\"allowReconnect\":true",
        reason: DRAINED,
    }
}

/// All files of recordings hold so many scenarios.
const RECORDED: usize = 301;

#[tokio::test(flavor = "multi_thread")]
async fn the_hub_does_what_was_recorded() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens");
    let scenarios = read_folder(&folder).expect("the recordings are readable");
    assert_eq!(scenarios.len(), RECORDED);
    for deviation in DEVIATIONS {
        let title = deviation.scenario;
        assert!(
            scenarios.iter().any(|known| known.title() == title),
            "{title} is no scenario"
        );
    }
    let outcomes = replay_all(scenarios, start_server).await;
    let report = report(&outcomes);
    assert!(report.is_empty(), "{report}");
}

/// A server of its own for each scenario, so that what one sends to all, to a
/// user or to a group does not reach another.
async fn start_server(_: &Scenario) -> Target {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("loopback has a free port");
    let address = listener
        .local_addr()
        .expect("a bound listener has an address");
    let (router, hubs) = service::router().expect("the methods and options are valid");
    let (count_begun, begun) = watch::channel(0);
    let router = router.layer(from_fn_with_state(count_begun, count));
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    let server = Server { serving, hubs };
    Target::new(address, Some(begun), move || server.stop())
}

/// Counts a request when it waits for the first time, or is answered at once.
async fn count(State(begun): State<watch::Sender<u64>>, request: Request, next: Next) -> Response {
    let mut answering = pin!(next.run(request));
    let first = poll_fn(|context| Poll::Ready(answering.as_mut().poll(context))).await;
    begun.send_modify(|begun| *begun += 1);
    match first {
        Poll::Ready(response) => response,
        Poll::Pending => answering.await,
    }
}

/// A running server, ended when dropped.
struct Server {
    serving: JoinHandle<std::io::Result<()>>,
    hubs: Vec<HubServer>,
}

impl Server {
    /// What a service does on SIGTERM.
    fn stop(&self) {
        for hub in self.hubs.clone() {
            tokio::spawn(async move { hub.drain(Duration::ZERO).await });
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// What is not as it should be; empty when all is.
fn report(outcomes: &[Outcome]) -> String {
    let mut report = String::new();
    for outcome in outcomes {
        let title = &outcome.title;
        let known = DEVIATIONS
            .iter()
            .find(|deviation| deviation.scenario == title);
        let line = match (&outcome.difference, known) {
            (Some(difference), Some(known)) if difference.got.contains(known.instead) => continue,
            (None, None) => continue,
            (Some(difference), None) => format!("{title}: {difference}"),
            (Some(difference), Some(known)) => {
                format!(
                    "{title} deviates otherwise than listed ({}): {difference}",
                    known.reason
                )
            }
            (None, Some(known)) => {
                format!(
                    "{title} is as recorded, but listed as a deviation: {}",
                    known.reason
                )
            }
        };
        writeln!(report, "{line}").expect("writing to a string cannot fail");
    }
    report
}
