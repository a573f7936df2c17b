//! What a span of the run cost: the server's CPU time and memory, and whether
//! this program was itself what limited it.

use std::{sync::Arc, time::Instant};

use crate::{
    process::{self, OwnThreads, ProcessError, Usage},
    run::{Run, get},
};

/// Above this share of one core, a thread of this program may have been what
/// was measured.
const BUSIEST: f64 = 0.8;

/// Looks at the server and at this program.
#[derive(Debug, Clone)]
pub(crate) struct Meter {
    run: Arc<Run>,
    pid: Option<u32>,
}

/// A moment.
#[derive(Debug)]
pub(crate) struct Moment {
    at: Instant,
    /// Messages that had come.
    pub(crate) received: u64,
    opened: u64,
    server: Option<Usage>,
    own: OwnThreads,
}

/// What lay between two moments.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Span {
    pub(crate) seconds: f64,
    pub(crate) received: u64,
    pub(crate) opened: u64,
    /// The server's CPU time in seconds.
    pub(crate) server_cpu: Option<f64>,
    /// The share of one core that this program's busiest thread used.
    pub(crate) own_share: f64,
}

impl Meter {
    pub(crate) fn new(run: Arc<Run>, pid: Option<u32>) -> Self {
        Self { run, pid }
    }

    pub(crate) fn watches_server(&self) -> bool {
        self.pid.is_some()
    }

    /// The server's memory, where it is watched.
    pub(crate) fn memory(&self) -> Result<Option<u64>, ProcessError> {
        let usage = self.pid.map(process::usage).transpose()?;
        Ok(usage.map(|usage| usage.memory))
    }

    /// Now.
    pub(crate) fn moment(&self) -> Result<Moment, ProcessError> {
        Ok(Moment {
            at: Instant::now(),
            received: get(&self.run.counts.received),
            opened: get(&self.run.counts.opened),
            server: self.pid.map(process::usage).transpose()?,
            own: OwnThreads::now(),
        })
    }

    /// From `start` until now.
    pub(crate) fn since(&self, start: &Moment) -> Result<Span, ProcessError> {
        Ok(self.moment()?.since(start))
    }
}

impl Moment {
    /// What lay between `start` and this moment.
    pub(crate) fn since(&self, start: &Self) -> Span {
        let seconds = (self.at - start.at).as_secs_f64();
        let server = self.server.zip(start.server);
        let busiest = self.own.busiest_since(&start.own).as_secs_f64();
        Span {
            seconds,
            received: self.received - start.received,
            opened: self.opened - start.opened,
            server_cpu: server.map(|(now, then)| now.cpu.saturating_sub(then.cpu).as_secs_f64()),
            own_share: busiest / seconds.max(1e-9),
        }
    }
}

impl Span {
    /// Why the span says little about the server, where that is so.
    pub(crate) fn void(&self) -> Option<String> {
        (self.own_share > BUSIEST).then(|| {
            format!(
                "tendril-load itself was the bottleneck: its busiest thread used {:.0} % of a core \
                 (more than {:.0} %); lower the rate, or give it more --threads",
                self.own_share * 100.0,
                BUSIEST * 100.0
            )
        })
    }
}
