//! What one screening costs: a drawn photo of two megapixels, and its parts.

#[expect(dead_code, reason = "the tests use more of the drawings than this")]
#[path = "../src/screening/drawing.rs"]
mod drawing;

use std::hint::black_box;

use analysis_worker::screening::screen;
use criterion::{Criterion, criterion_group, criterion_main};

use drawing::{Backdrop, Mark, Scene, draw};

fn screening(criterion: &mut Criterion) {
    let scene = Scene {
        width: 1632,
        height: 1224,
        backdrop: Backdrop::Soil,
        marks: vec![
            (Mark::Rust, 0.08),
            (Mark::Chlorosis, 0.1),
            (Mark::Necrosis, 0.05),
        ],
        ..Scene::default()
    };
    let drawing = draw(&scene);
    for (name, photo) in [("jpeg", drawing.jpeg(88)), ("png", drawing.png())] {
        criterion.bench_function(&format!("screen 2 megapixels {name}"), |bencher| {
            bencher.iter(|| screen(black_box(&photo), &mut |_| {}));
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = screening
}
criterion_main!(benches);
