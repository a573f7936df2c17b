//! This process as the operating system sees it, the server and its clients alike.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Resident memory in bytes, without the pages of files.
pub(crate) fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("RssAnon"))
        .unwrap();
    let kilobytes: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes * 1024
}

/// Open files, sockets among them.
pub(crate) fn open_files() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

static PANICS: AtomicUsize = AtomicUsize::new(0);

/// Counts panics from now on, also those that a task or the hub catches.
pub(crate) fn count_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        before(panic);
    }));
}

pub(crate) fn panics() -> usize {
    PANICS.load(Ordering::Relaxed)
}
