//! The report for a person.

use std::fmt::Write as _;

use super::Report;
use crate::latency::Percentiles;

/// Lines of a name and a value.
pub(crate) fn table(report: &Report) -> String {
    let mut rows: Vec<(String, String)> = Vec::new();
    let mut row = |name: &str, value: String| rows.push((name.to_owned(), value));
    row(
        "scenario",
        format!(
            "{}, {} {} connections of {} users, {}",
            report.scenario, report.connections, report.transport, report.users, report.protocol
        ),
    );
    row("server", report.url.clone());
    let opens = report.opens_per_second;
    let opens = opens.map_or_else(String::new, |opens| format!(" ({opens:.0} a second)"));
    row("opened", format!("{}{opens}", report.opened));
    if let Some(opening) = &report.opening {
        row("time to open", percentiles(opening));
    }
    if report.failed + report.closed > 0 {
        row("failed", report.failed.to_string());
        row("ended by the server", report.closed.to_string());
    }
    for (reason, times) in &report.reasons {
        row("", format!("{times} x {reason}"));
    }
    if report.expected + report.received > 0 {
        messages(report, &mut row);
    }
    server(report, &mut row);
    for (name, value) in &report.further {
        row(name, trimmed(*value));
    }
    row(
        "own busiest thread",
        format!("{:.0} % of a core", report.own_busiest_thread * 100.0),
    );
    for condition in &report.conditions {
        let value = condition.value.as_deref().unwrap_or("not measured");
        let verdict = if condition.failed { "FAILED" } else { "passed" };
        row(
            "fail if",
            format!("{}: {verdict} ({value})", condition.condition),
        );
    }
    if let Some(why) = &report.void {
        row("VOID", why.clone());
    }
    aligned(&rows)
}

fn messages(report: &Report, row: &mut impl FnMut(&str, String)) {
    let a_second = report.messages_per_second.unwrap_or_default();
    row(
        "delivered",
        format!(
            "{} of {} ({a_second:.0} a second over {:.1} s)",
            report.received, report.expected, report.seconds
        ),
    );
    row(
        "lost, twice, out of order",
        format!(
            "{}, {}, {}",
            report.lost, report.duplicates, report.out_of_order
        ),
    );
    if let Some(latency) = &report.latency {
        row("latency", percentiles(latency));
        let from = if report.from_due_time {
            "from when it was due (corrected for coordinated omission)"
        } else {
            "from when it was sent (there was no rate)"
        };
        row("", from.to_owned());
    }
}

fn server(report: &Report, row: &mut impl FnMut(&str, String)) {
    let Some(server) = &report.server else {
        return;
    };
    row("server CPU", format!("{:.2} s", server.cpu_seconds));
    if let Some(cpu) = server.cpu_us_a_message {
        row("server CPU a message", format!("{cpu:.1} us"));
    }
    if let Some(cpu) = server.cpu_us_an_open {
        row("server CPU an open", format!("{cpu:.1} us"));
    }
    if let Some(memory) = server.memory_a_connection {
        row("server memory a connection", format!("{memory:.0} B"));
    }
    let after = server
        .memory_after
        .map_or_else(String::new, |after| format!(" -> {} KiB", after / 1024));
    row(
        "server memory",
        format!(
            "{} -> {} KiB{after}",
            server.memory_before / 1024,
            server.memory_with / 1024
        ),
    );
}

fn percentiles(all: &Percentiles) -> String {
    let each = [
        ("p50", all.p50_us),
        ("p90", all.p90_us),
        ("p99", all.p99_us),
        ("p99.9", all.p99_9_us),
        ("max", all.max_us),
    ];
    let each = each.map(|(name, value)| format!("{name} {}", time(value)));
    each.join("  ")
}

fn time(microseconds: f64) -> String {
    match microseconds {
        short if short < 1e3 => format!("{short:.0} us"),
        middle if middle < 1e6 => format!("{:.2} ms", middle / 1e3),
        long => format!("{:.2} s", long / 1e6),
    }
}

/// Without digits that say nothing.
fn trimmed(value: f64) -> String {
    if value.fract() == 0.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.3}")
    }
}

fn aligned(rows: &[(String, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, value) in rows {
        let _ = writeln!(text, "{name:<width$}  {value}");
    }
    text
}
