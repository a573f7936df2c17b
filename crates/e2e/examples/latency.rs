//! Measures upload to event with the real binaries, the built-in analyser and
//! two-megapixel photos, one after the other.
//!
//!     make bench
//!     cargo run --release -p e2e --example latency -- --runs 200
//!
//! The split is what a client can see: `upload` is until the 202, `queue` from
//! there to the first progress event, `analysis` from there to the time that the
//! notification names as the end, `delivery` from there to the event.

use std::{
    io::Write as _,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result, bail};
use e2e::{System, SystemOptions, photo};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::{net::TcpStream, sync::mpsc, time::timeout};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

const USER: i64 = 42;
const PATIENCE: Duration = Duration::from_secs(60);
/// The first runs open connections and warm caches.
const WARM_UP: usize = 5;
const END: char = '\u{1e}';

#[tokio::main]
async fn main() -> Result<()> {
    let runs = runs()?;
    let system = System::start(SystemOptions {
        quiet: true,
        ..SystemOptions::default()
    })
    .await?;
    let mut events = listen(&system).await?;
    let api = system.api(USER);
    let mut measured = Vec::with_capacity(runs);
    for run in 0..runs + WARM_UP {
        let photo = photo::two_megapixels(u64::try_from(run)?);
        let started = Heard::now();
        let id = api.upload(photo).await?;
        let accepted = Heard::now();
        let (first, last, ended) = follow(&mut events, id).await?;
        if run >= WARM_UP {
            measured.push(Split::of(&started, &accepted, &first, &last, ended));
        }
    }
    report(&measured)
}

fn runs() -> Result<usize> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [] => Ok(200),
        [name, count] if name == "--runs" => count.parse().context("--runs takes a number"),
        _ => bail!("usage: latency [--runs N]"),
    }
}

/// When something was seen, on both clocks: one for spans, one that other processes share.
#[derive(Debug, Clone, Copy)]
struct Heard {
    at: Instant,
    wall: f64,
}

impl Heard {
    fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let wall = since.expect("the clock is past 1970").as_secs_f64() * 1_000.0;
        Self {
            at: Instant::now(),
            wall,
        }
    }
}

type Event = (Heard, Value);

/// A connection that is read all the time, so that an event's time is its arrival.
async fn listen(system: &System) -> Result<mpsc::Receiver<Event>> {
    let token = system.issuer.token(USER);
    let url = format!(
        "{}?access_token={token}",
        system.hub_url().replacen("http", "ws", 1)
    );
    let (mut socket, _) = connect_async(url).await.context("the hub is not reached")?;
    let handshake = format!("{{\"protocol\":\"json\",\"version\":1}}{END}");
    socket.send(Message::text(handshake)).await?;
    let (sender, receiver) = mpsc::channel(1_000);
    tokio::spawn(async move {
        if let Err(error) = read(socket, sender).await {
            eprintln!("the connection was lost: {error:#}");
        }
    });
    Ok(receiver)
}

async fn read(
    mut socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    events: mpsc::Sender<Event>,
) -> Result<()> {
    while let Some(message) = socket.next().await {
        let heard = Heard::now();
        let Message::Text(text) = message? else {
            continue;
        };
        for record in text.split_terminator(END) {
            let message: Value = serde_json::from_str(record)?;
            if message["type"] == 1 {
                events.send((heard, message)).await?;
            }
        }
    }
    Ok(())
}

/// The analysis's first progress, its end, and the time that the end names.
async fn follow(events: &mut mpsc::Receiver<Event>, id: i64) -> Result<(Heard, Heard, f64)> {
    let mut first = None;
    loop {
        let event = timeout(PATIENCE, events.recv())
            .await
            .context("no event came")?;
        let (heard, message) = event.context("the connection was closed")?;
        let payload = &message["arguments"][0];
        if payload["analysisId"] != id {
            continue;
        }
        match message["target"].as_str() {
            Some("ReceiveAnalysisProgress") => _ = first.get_or_insert(heard),
            Some("ReceiveAnalysisCompleted") => {
                let completed: shared_dto::notification::AnalysisCompleted =
                    serde_json::from_value(payload.clone())?;
                let ended = completed.completed_at.unix_timestamp_nanos() / 1_000;
                return Ok((first.unwrap_or(heard), heard, ended as f64 / 1_000.0));
            }
            _ => bail!("the analysis ended as {message}"),
        }
    }
}

/// Milliseconds.
#[derive(Debug, Clone, Copy)]
struct Split {
    upload: f64,
    queue: f64,
    analysis: f64,
    delivery: f64,
    total: f64,
}

impl Split {
    fn of(started: &Heard, accepted: &Heard, first: &Heard, last: &Heard, ended: f64) -> Self {
        let span = |from: &Heard, to: &Heard| {
            to.at.saturating_duration_since(from.at).as_secs_f64() * 1_000.0
        };
        Self {
            upload: span(started, accepted),
            queue: span(accepted, first),
            analysis: (ended - first.wall).max(0.0),
            delivery: (last.wall - ended).max(0.0),
            total: span(started, last),
        }
    }
}

type Part = fn(&Split) -> f64;

fn report(measured: &[Split]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "Upload to event, 2-megapixel photo, built-in analyser, {} runs, ms",
        measured.len()
    )?;
    writeln!(
        out,
        "| part | p50 | p90 | p99 | max |\n|---|---|---|---|---|"
    )?;
    let parts: [(&str, Part); 5] = [
        ("upload", |s| s.upload),
        ("queue", |s| s.queue),
        ("analysis", |s| s.analysis),
        ("delivery", |s| s.delivery),
        ("**total**", |s| s.total),
    ];
    for (name, part) in parts {
        let mut values: Vec<f64> = measured.iter().map(part).collect();
        values.sort_by(f64::total_cmp);
        let [p50, p90, p99, max] = [50, 90, 99, 100].map(|percent| percentile(&values, percent));
        writeln!(
            out,
            "| {name} | {p50:.1} | {p90:.1} | {p99:.1} | {max:.1} |"
        )?;
    }
    Ok(())
}

/// Of sorted values, by nearest rank.
fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(f64::NAN)
}
