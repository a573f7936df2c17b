//! What reading and writing one hub message costs, in both encodings.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use serde::Serialize;
use signalr::protocol::{HubMessage, HubProtocol, Parsed};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Notification {
    analysis_id: i32,
    user_id: i32,
    status: &'static str,
    completed_at: &'static str,
    crop_type: &'static str,
    primary_concern: &'static str,
    overall_health_score: Option<i32>,
    image_url: Option<&'static str>,
    deep_link: &'static str,
    confidence: f64,
}

const NOTIFICATION: Notification = Notification {
    analysis_id: 123,
    user_id: 42,
    status: "Completed",
    completed_at: "2025-06-01T12:34:56.789Z",
    crop_type: "wheat",
    primary_concern: "Leaf rust (Puccinia triticina) \u{2013} hafif pasl\u{131} lekeler",
    overall_health_score: Some(72),
    image_url: None,
    deep_link: "app://analysis/123",
    confidence: 0.8125,
};

/// The messages that a hub sees and sends most.
fn messages(protocol: HubProtocol) -> Vec<(&'static str, Vec<u8>)> {
    let mut invocation = Vec::new();
    protocol
        .write_invocation(&mut invocation, Some("1"), "Acknowledge", &(123_456,), &[])
        .expect("it can be written");
    let mut notification = Vec::new();
    protocol
        .write_invocation(
            &mut notification,
            None,
            "ReceiveAnalysisCompleted",
            &(&NOTIFICATION,),
            &[],
        )
        .expect("it can be written");
    let mut large = Vec::new();
    protocol
        .write_result(&mut large, "1", &"x".repeat(16 * 1024))
        .expect("it can be written");
    vec![
        ("ping", protocol.ping().to_vec()),
        ("invocation", invocation),
        ("notification", notification),
        ("16 KiB string", large),
    ]
}

fn parse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("protocol/parse");
    for protocol in HubProtocol::ALL {
        for (name, bytes) in messages(protocol) {
            group.throughput(Throughput::Bytes(bytes.len() as u64));
            group.bench_with_input(
                BenchmarkId::new(protocol.name(), name),
                &bytes,
                |bench, bytes| {
                    bench.iter(|| protocol.parse(black_box(bytes)).is_ok());
                },
            );
        }
        let (_, bytes) = messages(protocol).swap_remove(1);
        group.bench_function(
            BenchmarkId::new(protocol.name(), "invocation with argument"),
            |bench| {
                bench.iter(|| match protocol.parse(black_box(&bytes)) {
                    Ok(Parsed::Message {
                        message: HubMessage::Invocation(call),
                        ..
                    }) => call
                        .arguments
                        .iter()
                        .next()
                        .map(|argument| argument.deserialize::<u64>()),
                    _ => None,
                });
            },
        );
    }
    group.finish();
}

fn write(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("protocol/write");
    let mut out = Vec::with_capacity(64 * 1024);
    let large = "x".repeat(16 * 1024);
    for protocol in HubProtocol::ALL {
        let mut bench = |name, write: &dyn Fn(&mut Vec<u8>)| {
            group.bench_function(BenchmarkId::new(protocol.name(), name), |bench| {
                bench.iter(|| {
                    out.clear();
                    write(&mut out);
                    black_box(out.len())
                });
            });
        };
        bench("result", &|out| {
            protocol
                .write_result(out, "1", &7)
                .expect("it can be written");
        });
        bench("notification", &|out| {
            let arguments = (black_box(&NOTIFICATION),);
            protocol
                .write_invocation(out, None, "ReceiveAnalysisCompleted", &arguments, &[])
                .expect("it can be written");
        });
        bench("16 KiB string", &|out| {
            protocol
                .write_result(out, "1", black_box(&large))
                .expect("it can be written");
        });
        bench("1000 prices", &|out| {
            let prices: [f64; 1000] = std::array::from_fn(|i| 100.0 + i as f64 / 7.0);
            protocol
                .write_stream_item(out, "1", &prices[..])
                .expect("it can be written");
        });
    }
    group.finish();
}

criterion_group!(benches, parse, write);
criterion_main!(benches);
