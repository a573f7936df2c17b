//! Screens a photo with the built-in analyser: prints the result as JSON and
//! writes the overlay picture.
//!
//! `cargo run --release -p analysis-worker --example screen -- PHOTO [OVERLAY]`

use std::path::PathBuf;
use std::time::Instant;

use analysis_worker::screening::screen;
use anyhow::Context as _;

#[expect(clippy::print_stdout, reason = "the result is the command's output")]
fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let photo = arguments.next().context("usage: screen PHOTO [OVERLAY]")?;
    let bytes = std::fs::read(&photo).with_context(|| photo.display().to_string())?;
    let mut stages = Vec::new();
    let outcome = screen(&bytes, &mut |stage| stages.push((stage, Instant::now())));
    let end = Instant::now();
    for (index, (stage, begun)) in stages.iter().enumerate() {
        let until = stages.get(index + 1).map_or(end, |(_, next)| *next);
        println!(
            "{:<12} {:6.1} ms",
            stage.name(),
            (until - *begun).as_secs_f64() * 1e3
        );
    }
    let screening = outcome?;
    println!("{}", serde_json::to_string_pretty(&screening.result)?);
    if let Some(overlay) = arguments.next() {
        std::fs::write(&overlay, &screening.overlay.bytes)
            .with_context(|| overlay.display().to_string())?;
    }
    Ok(())
}
