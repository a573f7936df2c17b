//! The figures as Markdown.

use std::fmt::Write as _;

use crate::{figures::Measured, servers::Server};

pub(crate) fn table(figures: &[Measured]) -> String {
    let mut text =
        String::from("| figure | floor | hub | ratio | goal |\n|---|---:|---:|---:|---|\n");
    for measured in figures {
        let unit = measured.figure.unit;
        let value =
            |value: Option<f64>| value.map_or_else(String::new, |value| written(value, unit));
        let ratio = measured.ratio();
        let ratio = ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}x"));
        let _ = writeln!(
            text,
            "| {} | {} | {} | {ratio} | {} |",
            measured.figure.name,
            value(measured.of(Server::Floor)),
            value(measured.of_hub()),
            measured.figure.goal,
        );
    }
    text
}

fn written(value: f64, unit: &str) -> String {
    let digits = usize::from(value < 100.0);
    let plain = format!("{value:.digits$}");
    let (whole, part) = plain.split_once('.').unwrap_or((&plain, ""));
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let point = if part.is_empty() { "" } else { "." };
    format!("{grouped}{point}{part} {unit}")
}
