//! The inputs that fuzzing found worth keeping, replayed without a fuzzer.
//!
//! `fuzz/corpus` holds a small set for each target, chosen by coverage, and
//! every input that ever showed a fault.

#[path = "../../fuzz/src/lib.rs"]
#[expect(
    unreachable_pub,
    reason = "the fuzz targets use it as a crate of its own"
)]
mod checks;

use std::fs;
use std::path::Path;
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Panics of any task: those of a connection's own are caught by the hub, and
/// count here as they do for the fuzzer.
static PANICS: AtomicUsize = AtomicUsize::new(0);

fn count_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICS.fetch_add(1, Ordering::Relaxed);
            report(panic);
        }));
    });
}

fn replay(target: &str, check: fn(&[u8])) {
    count_panics();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let mut files: Vec<_> = fs::read_dir(&folder)
        .expect("the corpus is part of the repository")
        .map(|entry| entry.expect("a file of the corpus").path())
        .collect();
    files.sort();
    assert!(files.len() > 10, "{} files of {target}", files.len());
    for file in files {
        let input = fs::read(&file).expect("a file of the corpus");
        let passed = std::panic::catch_unwind(|| check(&input)).is_ok();
        let panics = PANICS.load(Ordering::Relaxed);
        assert!(passed && panics == 0, "the input {}", file.display());
    }
}

#[test]
fn json_messages() {
    replay("json_parse", checks::messages::check_json);
}

#[test]
fn messagepack_messages() {
    replay("messagepack_parse", checks::messages::check_messagepack);
}

#[test]
fn handshakes() {
    replay("handshake", checks::handshake::check);
}

#[test]
fn web_socket_frames() {
    replay("websocket", checks::frames::check);
}

#[test]
fn connections() {
    replay("connection", checks::connection::check);
}
