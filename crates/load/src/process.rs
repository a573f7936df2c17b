//! What a process used, from `/proc`: the server's CPU time and memory, and
//! this program's own threads. Linux alone.

use std::{collections::HashMap, fs, io, time::Duration};

/// The kernel tells times in hundredths of a second, whatever its own clock
/// (USER_HZ, proc_pid_stat(5)).
const TICK: Duration = Duration::from_millis(10);

/// Why a process cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It is not there, or not ours to look at.
    #[error("process {pid} cannot be watched: {source}")]
    Unreadable {
        /// The process.
        pid: u32,
        /// Why not.
        source: io::Error,
    },
    /// Its figures are not in the form that this program knows.
    #[error("the figures of process {0} are not readable on this system")]
    Form(u32),
}

/// What a process has used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Usage {
    /// CPU time, in user and in kernel mode.
    pub(crate) cpu: Duration,
    /// Memory that it allocated and touched (`RssAnon`), in bytes.
    pub(crate) memory: u64,
}

/// The usage of a process until now.
pub(crate) fn usage(pid: u32) -> Result<Usage, ProcessError> {
    let read = |name: &str| {
        fs::read_to_string(format!("/proc/{pid}/{name}"))
            .map_err(|source| ProcessError::Unreadable { pid, source })
    };
    let cpu = cpu(&read("stat")?).ok_or(ProcessError::Form(pid))?;
    let memory = memory(&read("status")?).ok_or(ProcessError::Form(pid))?;
    Ok(Usage { cpu, memory })
}

/// The 14th and the 15th field; the second is a name in brackets that may hold anything.
fn cpu(stat: &str) -> Option<Duration> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u32>().ok();
    Some(TICK * (ticks()? + ticks()?))
}

fn memory(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// What this program's threads have used, by thread.
#[derive(Debug, Default)]
pub(crate) struct OwnThreads(HashMap<String, Duration>);

impl OwnThreads {
    /// Until now. A system that does not tell gives nothing.
    pub(crate) fn now() -> Self {
        let Ok(tasks) = fs::read_dir("/proc/self/task") else {
            return Self::default();
        };
        let used = tasks.filter_map(|task| {
            let path = task.ok()?.path();
            // Nanoseconds on a CPU come first (Documentation/scheduler/sched-stats.rst).
            let text = fs::read_to_string(path.join("schedstat")).ok()?;
            let nanoseconds = text.split_ascii_whitespace().next()?.parse().ok()?;
            let name = path.file_name()?.to_string_lossy().into_owned();
            Some((name, Duration::from_nanos(nanoseconds)))
        });
        Self(used.collect())
    }

    /// What the busiest thread used since `earlier`.
    pub(crate) fn busiest_since(&self, earlier: &Self) -> Duration {
        let used = self.0.iter().map(|(thread, now)| {
            let before = earlier.0.get(thread).copied().unwrap_or_default();
            now.saturating_sub(before)
        });
        used.max().unwrap_or_default()
    }
}

/// How many files this process may have open.
pub(crate) fn descriptor_limit() -> Option<usize> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_whatever_the_process_is_called() {
        let stat = "7 (a) b (c) R 1 7 7 0 -1 4194304 90 0 0 0 150 50 0 0 20 0 3 0 10 1 2";
        assert_eq!(cpu(stat), Some(Duration::from_secs(2)));
        assert_eq!(cpu("7 (a"), None);
        assert_eq!(
            memory("VmRSS:\t 9 kB\nRssAnon:\t    12 kB\n"),
            Some(12 * 1024)
        );
        assert_eq!(memory("VmRSS: 9 kB"), None);
    }

    #[test]
    fn this_process_can_be_watched() {
        let before = OwnThreads::now();
        let own = usage(std::process::id()).unwrap();
        assert!(own.memory > 0);
        let end = std::time::Instant::now() + Duration::from_millis(60);
        while std::time::Instant::now() < end {
            std::hint::spin_loop();
        }
        assert!(OwnThreads::now().busiest_since(&before) > Duration::ZERO);
        assert!(descriptor_limit().unwrap() > 0);
        assert!(usage(u32::MAX).is_err());
    }
}
