//! Figures of this process, by the names that Prometheus' clients give them,
//! and the limits that it runs within. From `/proc` and the control group of
//! Linux; elsewhere there are none.

use std::{
    fmt, fs,
    time::{SystemTime, UNIX_EPOCH},
};

use crate::metrics::{Source, Writer};

/// The process.
#[derive(Debug)]
pub struct Process {
    service: &'static str,
    version: &'static str,
    started: f64,
}

/// Linux counts processor time for programs in hundredths of a second.
const TICKS: f64 = 100.0;
const PAGE: f64 = 4_096.0;

impl Process {
    /// This process, which starts now.
    #[must_use]
    pub fn new(service: &'static str, version: &'static str) -> Self {
        let started = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            service,
            version,
            started: started.map_or(0.0, |since| since.as_secs_f64()),
        }
    }
}

impl Source for Process {
    fn write(&self, writer: &mut Writer<'_>) -> fmt::Result {
        writer.values(
            "tendril_build_info",
            "What runs; always 1.",
            [([("service", self.service), ("version", self.version)], 1.0)],
        )?;
        writer.gauge(
            "process_start_time_seconds",
            "When it started, since 1970.",
            self.started,
        )?;
        if let Some(seconds) = processor_seconds() {
            let help = "Processor time that it has used.";
            writer.seconds("process_cpu_seconds", help, seconds)?;
        }
        let gauges = [
            (
                "process_resident_memory_bytes",
                "Memory that it has.",
                resident_bytes(),
            ),
            (
                "process_open_fds",
                "Descriptors that it has open.",
                open_descriptors(),
            ),
            (
                "process_max_fds",
                "Descriptors that it may have open.",
                most_descriptors(),
            ),
            (
                "tendril_memory_limit_bytes",
                "Memory that there is for it: the control group's limit, or else the machine's.",
                memory_limit(),
            ),
            (
                "tendril_cpu_limit_cores",
                "Processors that there are for it.",
                Some(processors()),
            ),
        ];
        for (name, help, value) in gauges {
            if let Some(value) = value {
                writer.gauge(name, help, value)?;
            }
        }
        Ok(())
    }
}

/// proc_pid_stat(5): `utime` and `stime` are the 14th and 15th field; the
/// second, the name in brackets, may hold spaces.
fn processor_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let (_, behind_name) = stat.rsplit_once(") ")?;
    let mut fields = behind_name.split(' ').skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / TICKS)
}

fn resident_bytes() -> Option<f64> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: f64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * PAGE)
}

fn open_descriptors() -> Option<f64> {
    Some(fs::read_dir("/proc/self/fd").ok()?.count() as f64)
}

fn most_descriptors() -> Option<f64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

fn memory_limit() -> Option<f64> {
    let group = fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let group = group.and_then(|text| text.trim().parse::<f64>().ok());
    group.or_else(|| {
        let all = fs::read_to_string("/proc/meminfo").ok()?;
        let line = all.lines().find(|line| line.starts_with("MemTotal:"))?;
        let kibibytes: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
        Some(kibibytes * 1_024.0)
    })
}

/// The control group's quota, or else what the process may run on.
fn processors() -> f64 {
    let quota = fs::read_to_string("/sys/fs/cgroup/cpu.max").ok();
    let quota = quota.and_then(|text| {
        let (quota, period) = text.trim().split_once(' ')?;
        Some(quota.parse::<f64>().ok()? / period.parse::<f64>().ok()?)
    });
    quota.unwrap_or_else(|| std::thread::available_parallelism().map_or(1.0, |n| n.get() as f64))
}
