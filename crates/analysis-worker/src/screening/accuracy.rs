//! How well the analyser does on drawn leaves: recall and precision of every
//! class over a sweep of backdrops, light, lens, noise and compression.
//!
//! Run with `--nocapture` for the tables in `docs/ANALYSER.md`.

use super::drawing::{Backdrop, Drawing, Mark, Scene, Truth, draw};
use super::{ScreenError, Screening, Tissue, screen};

const MARKS: [(Mark, Tissue); 4] = [
    (Mark::Rust, Tissue::Rust),
    (Mark::Chlorosis, Tissue::Chlorotic),
    (Mark::Necrosis, Tissue::Necrotic),
    (Mark::Mildew, Tissue::Mildew),
];

/// Names a condition and changes the scene to it.
type Condition = (&'static str, fn(&mut Scene));

const CONDITIONS: [Condition; 12] = [
    ("daylight", |_| {}),
    ("two stops under", |scene| scene.light = [0.3; 3]),
    ("one stop over", |scene| scene.light = [1.7; 3]),
    ("low sun", |scene| scene.light = [1.25, 1.0, 0.72]),
    ("blue shade", |scene| scene.light = [0.86, 1.0, 1.2]),
    ("blurred", |scene| scene.blur = 3),
    ("noisy", |scene| scene.noise = 9.0),
    ("dark leaf", |scene| scene.green = [38, 74, 34]),
    ("light leaf", |scene| scene.green = [132, 172, 66]),
    ("dull leaf", |scene| scene.green = [104, 124, 92]),
    ("blue-green leaf", |scene| scene.green = [58, 108, 82]),
    ("small", |scene| (scene.width, scene.height) = (256, 192)),
];

/// What was found of each kind, in pixels.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    /// Of the kind and found.
    hit: f64,
    /// Of the kind.
    drawn: f64,
    /// Taken for the kind.
    claimed: f64,
}

impl Tally {
    fn recall(&self) -> f64 {
        self.hit / self.drawn.max(1.0)
    }

    fn precision(&self) -> f64 {
        self.hit / self.claimed.max(1.0)
    }
}

/// Tallies of leaf against backdrop, then of each mark.
type Tallies = [Tally; 5];

fn screened(drawing: &Drawing, quality: u8) -> Result<Screening, ScreenError> {
    screen(&drawing.jpeg(quality), &mut |_| {})
}

fn count(drawing: &Drawing, screening: &Screening, tallies: &mut Tallies) {
    assert_eq!(
        screening.labels.width(),
        drawing.width,
        "drawn at working resolution"
    );
    for (truth, &tissue) in drawing.truth.iter().zip(screening.labels.tissues()) {
        if *truth == Truth::Border {
            continue;
        }
        let mut add = |index: usize, drawn: bool, claimed: bool| {
            let tally: &mut Tally = &mut tallies[index];
            tally.drawn += f64::from(u8::from(drawn));
            tally.claimed += f64::from(u8::from(claimed));
            tally.hit += f64::from(u8::from(drawn && claimed));
        };
        add(0, *truth != Truth::Backdrop, tissue != Tissue::Background);
        for (index, (mark, label)) in MARKS.iter().enumerate() {
            add(index + 1, *truth == Truth::Marked(*mark), tissue == *label);
        }
    }
}

fn sick(seed: u64, backdrop: Backdrop) -> Scene {
    Scene {
        backdrop,
        seed,
        marks: vec![
            (Mark::Necrosis, 0.06),
            (Mark::Chlorosis, 0.08),
            (Mark::Rust, 0.06),
            (Mark::Mildew, 0.06),
        ],
        ..Scene::default()
    }
}

fn row(name: &str, tallies: &Tallies) {
    let cells: Vec<String> = tallies
        .iter()
        .map(|tally| {
            format!(
                "{:3.0} / {:3.0}",
                tally.recall() * 100.0,
                tally.precision() * 100.0
            )
        })
        .collect();
    println!("| {name:16} | {} |", cells.join(" | "));
}

/// The sweep for `docs/ANALYSER.md` over 224 leaves, of which the test below
/// has a part.
fn print_table() {
    println!("| recall / precision, % | leaf | rust | chlorosis | necrosis | mildew |");
    println!("|---|---|---|---|---|---|");
    let mut total = Tallies::default();
    for (name, change) in CONDITIONS {
        let mut tallies = Tallies::default();
        for backdrop in Backdrop::ALL {
            for seed in 1..=2 {
                let mut scene = sick(seed, backdrop);
                change(&mut scene);
                tally(&scene, &mut [&mut tallies, &mut total]);
            }
        }
        row(name, &tallies);
    }
    row("all of these", &total);
    for backdrop in Backdrop::ALL {
        let mut tallies = Tallies::default();
        for seed in 10..14 {
            tally(&sick(seed, backdrop), &mut [&mut tallies]);
        }
        row(&format!("on {backdrop:?}").to_lowercase(), &tallies);
    }
}

fn tally(scene: &Scene, tallies: &mut [&mut Tallies]) {
    let drawing = draw(scene);
    let screening = screened(&drawing, 85).expect("a leaf is drawn");
    for tallies in tallies {
        count(&drawing, &screening, tallies);
    }
}

#[test]
fn symptoms_are_found_in_any_light_and_on_any_backdrop() {
    if std::env::var_os("SCREENING_TABLE").is_some() {
        print_table();
    }
    let mut total = Tallies::default();
    for (index, (name, change)) in CONDITIONS.into_iter().enumerate() {
        let mut tallies = Tallies::default();
        for turn in 0..2 {
            let backdrop = Backdrop::ALL[(index + turn * 3) % Backdrop::ALL.len()];
            let mut scene = sick(index as u64 + 1, backdrop);
            change(&mut scene);
            tally(&scene, &mut [&mut tallies, &mut total]);
        }
        row(name, &tallies);
        assert!(
            tallies[0].recall() > 0.85 && tallies[0].precision() > 0.9,
            "{name}: leaf"
        );
    }
    row("all", &total);
    let [_, rust, chlorosis, necrosis, mildew] = total;
    for (name, tally, recall) in [
        ("rust", rust, 0.85),
        ("chlorosis", chlorosis, 0.9),
        ("necrosis", necrosis, 0.85),
        ("mildew", mildew, 0.4),
    ] {
        assert!(
            tally.recall() > recall && tally.precision() > 0.9,
            "{name}: {tally:?}"
        );
    }
}

#[test]
fn a_healthy_leaf_is_healthy_in_any_light_and_on_any_backdrop() {
    for (index, (name, change)) in CONDITIONS.into_iter().enumerate() {
        for turn in 0..2 {
            let backdrop = Backdrop::ALL[(index + turn * 5) % Backdrop::ALL.len()];
            let mut scene = Scene {
                backdrop,
                seed: 5,
                ..Scene::default()
            };
            change(&mut scene);
            let result = screened(&draw(&scene), 85).expect("a leaf is drawn").result;
            let score = result.overall_health_score.expect("a leaf has a score");
            assert!(
                score >= 95,
                "{name} {backdrop:?}: {score} {:?}",
                result.symptoms
            );
            assert_eq!(
                result.severity.as_deref(),
                Some("none"),
                "{name} {backdrop:?}"
            );
        }
    }
}

#[test]
fn a_backdrop_without_a_leaf_is_no_plant() {
    for backdrop in Backdrop::ALL {
        for (name, change) in CONDITIONS {
            let mut scene = Scene {
                backdrop,
                ..Scene::default()
            };
            change(&mut scene);
            let mut drawing = draw(&scene);
            // Mirror the left edge strip, which never has leaf, over the whole picture.
            let strip = drawing.width / 12;
            for at in 0..drawing.truth.len() {
                let (x, y) = (at % drawing.width, at / drawing.width);
                let from = y * drawing.width + x % strip;
                for channel in 0..3 {
                    drawing.pixels[at * 3 + channel] = drawing.pixels[from * 3 + channel];
                }
            }
            let outcome = screened(&drawing, 85).map(|screening| screening.result);
            assert_eq!(outcome, Err(ScreenError::NoPlant), "{backdrop:?} {name}");
        }
    }
}
