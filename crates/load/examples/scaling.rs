//! A model of many connections on several hubs: what each costs, and what the
//! parts between them carry. It prints the table of docs/SCALING.md.
//!
//! ```text
//! cargo run -p load --example scaling
//! cargo run -p load --example scaling -- --connections 200000 --notifications 500 --nodes 10
//! ```
//!
//! Every assumption is an argument; what was measured and how is in
//! docs/PERFORMANCE.md. It knows nothing of networks, kernels and databases
//! beyond these numbers.

use std::{fmt::Write as _, io::Write as _};

/// An assumption: its argument, its value, what it is.
struct Assumption {
    name: &'static str,
    value: f64,
    meaning: &'static str,
}

const fn assume(name: &'static str, value: f64, meaning: &'static str) -> Assumption {
    Assumption {
        name,
        value,
        meaning,
    }
}

const ASSUMPTIONS: &[Assumption] = &[
    assume("connections", 1e6, "connections, each of another user"),
    assume(
        "nodes",
        0.0,
        "hubs; 0: a row for each of 10, 20, 50 and 100",
    ),
    assume("cores", 4.0, "cores of a hub"),
    assume("load", 0.5, "share of its cores that a hub is meant to use"),
    assume(
        "notifications",
        2000.0,
        "logged notifications a second, all users together",
    ),
    assume("progress", 6000.0, "progress messages a second, not logged"),
    assume(
        "user_memory",
        3260.0,
        "bytes of a hub's memory a connection (measured)",
    ),
    assume(
        "kernel_memory",
        4096.0,
        "bytes of kernel memory a socket (stated by others)",
    ),
    assume(
        "idle_cpu",
        10.0,
        "us of CPU a second of an idle connection: pings both ways (assumed)",
    ),
    assume(
        "open_cpu",
        133.0,
        "us of CPU to open a connection (measured)",
    ),
    assume(
        "logged_cpu",
        406.0,
        "us of CPU to log and deliver a notification (measured, PostgreSQL)",
    ),
    assume(
        "heard_cpu",
        15.0,
        "us of CPU to hear of another hub's notification and pass it over",
    ),
    assume(
        "progress_cpu",
        167.0,
        "us of CPU to deliver a progress message (measured)",
    ),
    assume(
        "group",
        20.0,
        "notifications that a hub commits and announces together",
    ),
    assume(
        "hint_bytes",
        40.0,
        "bytes of Redis traffic that a hint adds to its message",
    ),
    assume(
        "message_bytes",
        400.0,
        "bytes of a progress message on Redis",
    ),
    assume(
        "sweep",
        7.0,
        "seconds between two sweeps of a hub over its clients' streams",
    ),
    assume(
        "sweep_streams",
        500.0,
        "streams that one statement of a sweep asks for",
    ),
    assume("stays", 1800.0, "seconds that a connection lasts"),
    assume(
        "rows",
        3.0,
        "rows written a notification: entry, counter, receipt",
    ),
    assume(
        "back_within",
        2.0,
        "seconds within which the clients of a dead hub come back",
    ),
];

struct Model(Vec<f64>);

fn main() -> Result<(), String> {
    let mut model = Model(ASSUMPTIONS.iter().map(|each| each.value).collect());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let name = argument.trim_start_matches("--").replace('-', "_");
        let place = ASSUMPTIONS.iter().position(|each| each.name == name);
        let place =
            place.ok_or_else(|| format!("{argument} is no assumption; accepted: {}", names()))?;
        let value = arguments.next().and_then(|text| text.parse().ok());
        let value: Option<f64> = value.filter(|value: &f64| value.is_finite() && *value >= 0.0);
        model.0[place] = value.ok_or_else(|| format!("{argument} takes a number from 0"))?;
    }
    let text = model.assumptions() + "\n" + &model.table();
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| error.to_string())
}

fn names() -> String {
    let names = ASSUMPTIONS.iter().map(|each| format!("--{}", each.name));
    names.collect::<Vec<_>>().join(" ")
}

impl Model {
    fn get(&self, name: &str) -> f64 {
        let place = ASSUMPTIONS.iter().position(|each| each.name == name);
        self.0[place.expect("only names of assumptions are asked for")]
    }

    fn assumptions(&self) -> String {
        let mut text = String::from("| assumption | value | |\n|---|---:|---|\n");
        for (assumption, value) in ASSUMPTIONS.iter().zip(&self.0) {
            let _ = writeln!(
                text,
                "| {} | {value} | {} |",
                assumption.name, assumption.meaning
            );
        }
        text
    }

    fn table(&self) -> String {
        let nodes = match self.get("nodes") {
            none if none < 1.0 => vec![10.0, 20.0, 50.0, 100.0],
            nodes => vec![nodes],
        };
        let columns: Vec<Vec<(&str, String)>> =
            nodes.iter().map(|nodes| self.column(*nodes)).collect();
        let mut text = String::from("| |");
        for nodes in &nodes {
            let _ = write!(text, " {nodes} hubs |");
        }
        text.push_str("\n|---|");
        text.push_str(&"---:|".repeat(nodes.len()));
        text.push('\n');
        for row in 0..columns[0].len() {
            let _ = write!(text, "| {} |", columns[0][row].0);
            for column in &columns {
                let _ = write!(text, " {} |", column[row].1);
            }
            text.push('\n');
        }
        text
    }

    fn column(&self, nodes: f64) -> Vec<(&'static str, String)> {
        let a_hub = self.get("connections") / nodes;
        let (notifications, progress) = (self.get("notifications"), self.get("progress"));
        let memory = a_hub * (self.get("user_memory") + self.get("kernel_memory"));
        let elsewhere = (nodes - 1.0) / nodes;
        // Each notification is logged by one hub and heard of by all others.
        let idle = a_hub * self.get("idle_cpu");
        let opens = a_hub / self.get("stays") * self.get("open_cpu");
        let logged = notifications / nodes * self.get("logged_cpu");
        let heard = notifications * elsewhere * self.get("heard_cpu");
        let told = progress / nodes * self.get("progress_cpu") * (1.0 + elsewhere);
        let cores = (idle + opens + logged + heard + told) / 1e6;
        let room = self.get("cores") * self.get("load");
        // A hint goes to every hub, progress to those that have the user.
        let hints = notifications / self.get("group").max(1.0);
        let published = hints + progress;
        let delivered = hints * nodes + progress * (1.0 + elsewhere);
        let traffic = notifications * self.get("hint_bytes") * nodes
            + progress * self.get("message_bytes") * (1.0 + elsewhere);
        let streams = self.get("connections") / self.get("sweep");
        // The clients of one hub come back to the others.
        let storm = a_hub * self.get("open_cpu") / 1e6;
        let spare = (nodes - 1.0) * (self.get("cores") - cores).max(0.0);
        vec![
            ("connections a hub", number(a_hub)),
            (
                "memory of connections a hub",
                format!("{:.2} GB", memory / 1e9),
            ),
            (
                "CPU a hub: idle connections",
                format!("{:.2} cores", idle / 1e6),
            ),
            ("CPU a hub: opening", format!("{:.2} cores", opens / 1e6)),
            (
                "CPU a hub: logged notifications",
                format!("{:.2} cores", logged / 1e6),
            ),
            (
                "CPU a hub: others' notifications",
                format!("{:.2} cores", heard / 1e6),
            ),
            ("CPU a hub: progress", format!("{:.2} cores", told / 1e6)),
            (
                "CPU a hub, together",
                format!(
                    "{cores:.2} of {room:.1} cores{}",
                    if cores > room { ": too much" } else { "" }
                ),
            ),
            ("Redis: published a second", number(published)),
            ("Redis: delivered a second", number(delivered)),
            (
                "Redis: traffic to hubs",
                format!("{:.1} MB/s", traffic / 1e6),
            ),
            (
                "Redis: subscriptions",
                number(self.get("connections") * 2.0),
            ),
            (
                "database: rows written a second",
                number(notifications * self.get("rows")),
            ),
            ("database: commits a second", number(hints + nodes * 10.0)),
            (
                "database: sweep, statements a second",
                number(streams / self.get("sweep_streams")),
            ),
            (
                "database: sweep, streams looked up a second",
                number(streams),
            ),
            ("a hub dies: clients that come back", number(a_hub)),
            (
                "a hub dies: CPU to take them, all hubs together",
                format!("{storm:.1} core seconds"),
            ),
            (
                "a hub dies: shortest time for that",
                format!("{:.2} s", storm / spare.max(1e-9)),
            ),
            (
                "a hub dies: reads of the log a second",
                number(a_hub / self.get("back_within").max(1e-9)),
            ),
        ]
    }
}

fn number(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
