//! The command line.

use std::{ffi::OsString, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde_json::{Map, Value};
use signalr::protocol::HubProtocol;

use crate::{fail_if::FailIf, link::Transport, target::Url};

/// Loads a SignalR server with many connections and says what came of it.
///
/// Options without a scenario before them are those of `idle`: `tendril-load
/// --url http://localhost:8080/hubs/plantanalysis --connections 500 --duration
/// 300 --token ..` opens 500 connections and holds them for 300 seconds.
///
/// Exit code: 0; 1 where a --fail-if is met; 2 for wrong arguments; 3 where
/// tendril-load itself was the bottleneck, so that the figures say nothing; 4
/// where it could not be carried out.
#[derive(Debug, Parser)]
#[command(name = "tendril-load", version)]
pub struct Arguments {
    /// What the connections do.
    #[command(subcommand)]
    pub scenario: Scenario,
}

impl Arguments {
    /// Reads a command line, the program's name first. It ends the process for
    /// one that is wrong, or asks for help.
    #[must_use]
    pub fn read(line: impl IntoIterator<Item = OsString>) -> Self {
        Self::parse_from(with_scenario(line))
    }
}

/// Names the scenario where an option stands in its place.
fn with_scenario(line: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut line: Vec<OsString> = line.into_iter().collect();
    let of_the_program = ["-h", "--help", "-V", "--version"];
    let option = line.get(1).is_some_and(|first| {
        let is_option = first.as_encoded_bytes().starts_with(b"-");
        is_option && !of_the_program.iter().any(|each| first == each)
    });
    if option {
        line.insert(1, "idle".into());
    }
    line
}

/// What is done.
#[derive(Debug, Subcommand)]
pub enum Scenario {
    /// Opens connections and holds them: what an idle one costs.
    Idle(Common),
    /// Calls a hub method on each connection and times its answer.
    Echo {
        #[expect(missing_docs, reason = "documented where it is defined")]
        #[command(flatten)]
        common: Common,
        /// The method.
        #[arg(long, default_value = "Ping")]
        method: String,
        /// Its arguments, as a JSON array.
        #[arg(long, default_value = "[]", value_parser = json_array)]
        arguments: JsonArray,
        /// Calls a second of all connections together; 0: as many as go.
        #[arg(long, default_value_t = 0.0, value_parser = rate)]
        rate: f64,
        /// Calls of one connection under way at once.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
        in_flight: u32,
    },
    /// Posts to /internal/notify and times each message to its client.
    Notify {
        #[expect(missing_docs, reason = "documented where it is defined")]
        #[command(flatten)]
        common: Common,
        #[expect(missing_docs, reason = "documented where it is defined")]
        #[command(flatten)]
        posting: Posting,
        /// Progress, which is not logged, instead of events, which are.
        #[arg(long)]
        progress: bool,
        /// Where notifications are posted.
        #[arg(long, default_value = "/internal/notify")]
        path: String,
    },
    /// Posts to /internal/broadcast and times each message to every client.
    Broadcast {
        #[expect(missing_docs, reason = "documented where it is defined")]
        #[command(flatten)]
        common: Common,
        #[expect(missing_docs, reason = "documented where it is defined")]
        #[command(flatten)]
        posting: Posting,
        /// Where broadcasts are posted.
        #[arg(long, default_value = "/internal/broadcast")]
        path: String,
    },
    /// Clients connect, stay a while and leave, over and over.
    Churn {
        #[expect(missing_docs, reason = "documented where it is defined")]
        #[command(flatten)]
        common: Common,
        /// Connections opened a second; 0: as many as go.
        #[arg(long, default_value_t = 0.0, value_parser = rate)]
        rate: f64,
        /// How long each stays.
        #[arg(long, default_value = "0s", value_parser = duration)]
        stay: Duration,
    },
    /// All connections are cut at once, and all come back at once.
    Storm {
        #[expect(missing_docs, reason = "documented where it is defined")]
        #[command(flatten)]
        common: Common,
        /// How often.
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
        rounds: u32,
        /// They come back spread over this time.
        #[arg(long, default_value = "0s", value_parser = duration)]
        spread: Duration,
    },
    /// Broadcasts, while some clients do not read.
    Slow {
        #[expect(missing_docs, reason = "documented where it is defined")]
        #[command(flatten)]
        common: Common,
        #[expect(missing_docs, reason = "documented where it is defined")]
        #[command(flatten)]
        posting: Posting,
        /// How many of a hundred clients do not read.
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=99))]
        share: u32,
        /// Where broadcasts are posted.
        #[arg(long, default_value = "/internal/broadcast")]
        path: String,
    },
}

/// What all scenarios have.
#[derive(Debug, Args, Clone)]
pub struct Common {
    /// The hub's address: `http://host[:port]/path`.
    #[arg(long)]
    pub url: Url,
    /// How many connections.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub connections: u64,
    /// How many users they belong to; a user for each, where it is not given.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub users: Option<u64>,
    /// The first user's id; the others follow.
    #[arg(long, default_value_t = 1)]
    pub first_user: u64,
    /// How long it is measured (10s, 500ms, 5m, 1h; a number alone is seconds).
    #[arg(long, default_value = "10s", value_parser = duration)]
    pub duration: Duration,
    /// How long it goes on before that; these messages are counted, not timed.
    #[arg(long, default_value = "1s", value_parser = duration)]
    pub warm_up: Duration,
    /// Connections opened a second at the start; 0: as many as go.
    #[arg(long, default_value_t = 0.0, value_parser = rate)]
    pub ramp: f64,
    /// Connections being opened at once.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub opening: u32,
    /// How long opening one may take.
    #[arg(long, default_value = "15s", value_parser = duration)]
    pub open_timeout: Duration,
    /// How long the server is left alone before its memory is read.
    #[arg(long, default_value = "3s", value_parser = duration)]
    pub settle: Duration,
    /// A token that all connections have. They are all one user's then, and
    /// most servers let a user have a few.
    #[arg(
        long,
        env = "TENDRIL_LOAD_TOKEN",
        hide_env_values = true,
        conflicts_with = "secret"
    )]
    pub token: Option<String>,
    /// What a token of each user is signed with (HS256).
    #[arg(long, env = "TENDRIL_LOAD_SECRET", hide_env_values = true)]
    pub secret: Option<String>,
    /// Further claims of these tokens, as a JSON object.
    #[arg(long, default_value = "{}", value_parser = json_object)]
    pub claims: Map<String, Value>,
    /// How clients connect.
    #[arg(long, value_enum, default_value_t = Transport::Ws)]
    pub transport: Transport,
    /// What they speak.
    #[arg(long, value_enum, default_value_t = Protocol::Json)]
    pub protocol: Protocol,
    /// WebSockets negotiate first, as official clients do.
    #[arg(long)]
    pub negotiate: bool,
    /// Loads a server that is not on this machine.
    #[arg(long)]
    pub allow_remote: bool,
    /// The server's process on this machine, whose CPU and memory are told.
    #[arg(long)]
    pub pid: Option<u32>,
    /// The run has failed where this holds, e.g. "p99>5ms"; may be given several times.
    #[arg(long, value_name = "CONDITION")]
    pub fail_if: Vec<FailIf>,
    /// Threads of this program; as many as cores, where it is not given.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub threads: Option<u32>,
    /// Prints the report as JSON.
    #[arg(long)]
    pub json: bool,
    /// Shows no progress.
    #[arg(long)]
    pub quiet: bool,
}

/// What scenarios that post have.
#[derive(Debug, Args, Clone)]
pub struct Posting {
    /// Posts a second; 0: as many as go.
    #[arg(long, default_value_t = 100.0, value_parser = rate)]
    pub rate: f64,
    /// Posts under way at once, on a connection each.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=2000))]
    pub posters: u32,
    /// The secret of internal calls.
    #[arg(
        long,
        env = "TENDRIL_LOAD_INTERNAL_SECRET",
        hide_env_values = true,
        default_value = ""
    )]
    pub internal_secret: String,
    /// Another server that is posted to: `http://host[:port]`.
    #[arg(long)]
    pub post_to: Option<Url>,
    /// The event's name.
    #[arg(long, default_value = "LoadProbe")]
    pub event: String,
    /// How long the text of a message is made, in bytes.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(64..=60_000))]
    pub size: u32,
}

/// The encoding of hub messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    /// Text.
    Json,
    /// Binary.
    Messagepack,
}

/// An array of arguments. (clap takes a plain `Vec` for an option that repeats.)
#[derive(Debug, Clone)]
pub struct JsonArray(pub Vec<Value>);

impl Common {
    /// How many users there are: no more than connections.
    #[must_use]
    pub fn users(&self) -> u64 {
        self.users.unwrap_or(self.connections).min(self.connections)
    }

    pub(crate) fn url_text(&self) -> String {
        format!("http://{}{}", self.url.authority, self.url.path)
    }
}

impl Scenario {
    /// What it has in common with the others.
    #[must_use]
    pub fn common(&self) -> &Common {
        match self {
            Self::Idle(common)
            | Self::Echo { common, .. }
            | Self::Notify { common, .. }
            | Self::Broadcast { common, .. }
            | Self::Churn { common, .. }
            | Self::Storm { common, .. }
            | Self::Slow { common, .. } => common,
        }
    }

    /// Descriptors that it takes beside one for each connection.
    pub(crate) fn further_descriptors(&self) -> u64 {
        let spare = 64 + u64::from(self.common().opening);
        match self {
            Self::Notify { posting, .. }
            | Self::Broadcast { posting, .. }
            | Self::Slow { posting, .. } => spare + u64::from(posting.posters),
            Self::Echo { common, .. } if common.transport != Transport::Ws => {
                spare + common.connections
            }
            _ => spare,
        }
    }
}

impl Transport {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ws => "ws",
            Self::Sse => "sse",
            Self::Lp => "lp",
        }
    }
}

impl Protocol {
    pub(crate) fn name(self) -> &'static str {
        self.of_hub().name()
    }

    pub(crate) fn of_hub(self) -> HubProtocol {
        match self {
            Self::Json => HubProtocol::Json,
            Self::Messagepack => HubProtocol::MessagePack,
        }
    }
}

const LONGEST_RUN: Duration = Duration::from_secs(24 * 60 * 60);
const HIGHEST_RATE: f64 = 1e6;

fn duration(text: &str) -> Result<Duration, String> {
    let accepted = || {
        format!(
            "{text:?} is no time; accepted: a number with ms, s, m or h, or of seconds, at most 24h"
        )
    };
    let units = [
        ("ms", 1e-3),
        ("s", 1.0),
        ("m", 60.0),
        ("h", 3600.0),
        ("", 1.0),
    ];
    let seconds = units.iter().find_map(|(unit, factor)| {
        let number = text.strip_suffix(unit)?;
        let plain = number
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.');
        plain
            .then(|| number.parse::<f64>().ok())
            .flatten()
            .map(|number| number * factor)
    });
    let seconds = seconds.ok_or_else(accepted)?;
    let time = Duration::try_from_secs_f64(seconds).map_err(|_| accepted())?;
    (time <= LONGEST_RUN).then_some(time).ok_or_else(accepted)
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: Option<f64> = text.parse().ok();
    rate.filter(|rate| (0.0..=HIGHEST_RATE).contains(rate))
        .ok_or_else(|| {
            format!("{text:?} is no rate; accepted: a number a second from 0 to {HIGHEST_RATE}")
        })
}

fn json_array(text: &str) -> Result<JsonArray, String> {
    serde_json::from_str(text)
        .map(JsonArray)
        .map_err(|error| format!("{text:?} is no JSON array: {error}"))
}

fn json_object(text: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(text).map_err(|error| format!("{text:?} is no JSON object: {error}"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn options_alone_are_those_of_idle() {
        let read = |line: &[&str]| {
            Arguments::try_parse_from(with_scenario(line.iter().map(OsString::from)))
        };
        let url = "http://localhost:8080/hubs/plantanalysis";
        let line = [
            "tendril-load",
            "--url",
            url,
            "--connections",
            "500",
            "--duration",
            "300",
        ];
        let Scenario::Idle(common) = read(&line).unwrap().scenario else {
            panic!("it is idle that needs no name");
        };
        assert_eq!(
            (common.connections, common.duration),
            (500, Duration::from_secs(300))
        );
        let named = read(&["tendril-load", "storm", "--url", url]).unwrap();
        assert!(matches!(named.scenario, Scenario::Storm { .. }));
        for line in [
            &["tendril-load"][..],
            &["tendril-load", "--version"],
            &["tendril-load", "-h"],
        ] {
            let refused = read(line).unwrap_err();
            assert_ne!(
                refused.kind(),
                clap::error::ErrorKind::UnknownArgument,
                "{refused}"
            );
        }
    }

    #[test]
    fn times_and_rates_are_bounded() {
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("300"), Ok(Duration::from_secs(300)));
        for wrong in [
            "", ".", "s", "5 ", "five", "86401", "-1s", "1e3s", "25h", "1 s", "infs",
        ] {
            assert!(duration(wrong).unwrap_err().contains("accepted"), "{wrong}");
        }
        assert_eq!(rate("2.5"), Ok(2.5));
        for wrong in ["", "-1", "NaN", "inf", "1e7"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }
}
