//! What can happen to what, drawn from a seed.

use std::{fmt, time::Duration};

use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng, seq::SliceRandom as _};

use crate::Set;

/// What is struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Target {
    Hub,
    Worker,
    Database,
    Broker,
    Redis,
}

/// What happens to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Deed {
    /// kill -9, then a start.
    Kill,
    /// An end in order, then a start.
    Restart,
    /// SIGSTOP, then SIGCONT.
    Freeze,
    /// Its connections are closed.
    Cut,
    /// Nothing passes its connections for a while. Then they go on.
    Dark,
    /// Nothing ever passes its connections again; after a while new ones do.
    Lost,
}

/// One fault.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fault {
    pub(super) target: Target,
    pub(super) deed: Deed,
    /// How long it lasts; of a kill, until the start.
    pub(super) lasts: Duration,
    /// How long nothing happens after it.
    pub(super) pause: Duration,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, deed, .. } = self;
        write!(f, "{} {}", target.name(), deed.name())?;
        if *deed != Deed::Cut {
            write!(f, " for {:.1} s", self.lasts.as_secs_f64())?;
        }
        Ok(())
    }
}

impl Target {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Hub => "hub",
            Self::Worker => "worker",
            Self::Database => "PostgreSQL",
            Self::Broker => "RabbitMQ",
            Self::Redis => "Redis",
        }
    }
}

impl Deed {
    pub(super) const ALL: [Self; 6] = [
        Self::Kill,
        Self::Restart,
        Self::Freeze,
        Self::Cut,
        Self::Dark,
        Self::Lost,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill -9",
            Self::Restart => "restart",
            Self::Freeze => "SIGSTOP",
            Self::Cut => "cut off",
            Self::Dark => "no network",
            Self::Lost => "connections lost",
        }
    }
}

/// The faults of a seed, without end: all that there are in random order, then
/// all again in another, so that each has its turn.
#[derive(Debug)]
pub(super) struct Faults {
    random: SmallRng,
    all: Vec<(Target, Deed)>,
    left: Vec<(Target, Deed)>,
}

impl Faults {
    pub(super) fn new(seed: u64, targets: &[Target]) -> Self {
        let all = targets
            .iter()
            .flat_map(|target| Deed::ALL.map(|deed| (*target, deed)));
        Self {
            random: SmallRng::seed_from_u64(seed),
            all: all.collect(),
            left: Vec::new(),
        }
    }

    fn draw(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(self.random.random_range(from..to))
    }
}

impl Iterator for Faults {
    type Item = Fault;

    fn next(&mut self) -> Option<Fault> {
        if self.left.is_empty() {
            self.left.clone_from(&self.all);
            self.left.shuffle(&mut self.random);
        }
        let (target, deed) = self.left.pop()?;
        let lasts = match deed {
            Deed::Kill | Deed::Restart | Deed::Cut => self.draw(0, 1_500),
            Deed::Freeze | Deed::Dark | Deed::Lost => self.draw(500, 6_000),
        };
        let pause = self.draw(200, 2_500);
        Some(Fault {
            target,
            deed,
            lasts,
            pause,
        })
    }
}

/// The servers of a set that can be struck.
pub(super) fn targets(set: Set) -> Vec<Target> {
    let supported = crate::set::PRODUCTION;
    let mut targets = vec![Target::Hub, Target::Worker];
    if set == Set::Production {
        let parts = [
            (Target::Database, supported.database),
            (Target::Broker, supported.broker),
            (Target::Redis, supported.redis),
        ];
        targets.extend(parts.iter().filter(|(_, has)| *has).map(|(part, _)| part));
    }
    targets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_faults_and_each_its_turn() {
        let targets = [Target::Hub, Target::Worker];
        let text = |seed| -> Vec<String> {
            let faults = Faults::new(seed, &targets).take(24);
            faults.map(|fault| fault.to_string()).collect()
        };
        assert_eq!(text(7), text(7));
        assert_ne!(text(7), text(8));
        for (target, deed) in Faults::new(7, &targets).all {
            let times = Faults::new(7, &targets).take(24);
            let times = times.filter(|fault| (fault.target, fault.deed) == (target, deed));
            assert_eq!(times.count(), 2);
        }
    }
}
