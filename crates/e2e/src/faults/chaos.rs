//! Commits the faults, one after the other, until the work is accepted; then
//! sees to it that everything runs.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use super::{
    Phase, Plan,
    fault::{Deed, Fault, Faults, Target, targets},
    ground::Ground,
};
use crate::chaos_proxy::Fate;

/// What was done.
#[derive(Debug, Default)]
pub(super) struct History {
    /// How often each fault was committed.
    pub(super) faults: BTreeMap<(Target, Deed), usize>,
    /// Services that ended though nobody had asked them to.
    pub(super) ended: Vec<String>,
}

pub(super) struct Chaos {
    ground: Ground,
    faults: Faults,
    phases: watch::Receiver<Phase>,
    history: History,
    started: Instant,
    /// Of two workers, the one that is struck next.
    turn: usize,
}

impl Chaos {
    pub(super) fn new(plan: &Plan, ground: Ground, phases: watch::Receiver<Phase>) -> Self {
        Self {
            ground,
            faults: Faults::new(plan.seed, &targets(plan.set)),
            phases,
            history: History::default(),
            started: Instant::now(),
            turn: 0,
        }
    }

    /// Ends when all work is accepted, with everything running.
    pub(super) async fn run(mut self) -> Result<(Ground, History)> {
        loop {
            let phase = *self.phases.borrow_and_update();
            match phase {
                Phase::Done => break,
                Phase::BuiltIn => {}
                Phase::Webhook => self.use_webhook().await?,
            }
            let Some(fault) = self.faults.next() else {
                break;
            };
            self.tell(&fault.to_string());
            *self
                .history
                .faults
                .entry((fault.target, fault.deed))
                .or_default() += 1;
            let committed = self.commit(&fault).await;
            committed.with_context(|| format!("the fault \"{fault}\""))?;
            tokio::select! {
                () = sleep(fault.pause) => {}
                // A change of phase is looked at above.
                _ = self.phases.changed() => {}
            }
            self.look_for_ended().await?;
        }
        self.look_for_ended().await?;
        self.tell("everything was accepted and everything runs");
        Ok((self.ground, self.history))
    }

    async fn commit(&mut self, fault: &Fault) -> Result<()> {
        match fault.deed {
            Deed::Cut | Deed::Dark | Deed::Lost => self.fail_network(fault).await,
            Deed::Kill | Deed::Restart | Deed::Freeze => self.strike(fault).await,
        }
    }

    async fn fail_network(&self, fault: &Fault) -> Result<()> {
        let network = self.ground.network(fault.target)?;
        if fault.deed == Deed::Cut {
            network.set_standing(Fate::Cut);
            return Ok(());
        }
        network.go_dark();
        sleep(fault.lasts).await;
        if fault.deed == Deed::Dark {
            network.set_standing(Fate::Forward);
        }
        network.come_back();
        Ok(())
    }

    async fn strike(&mut self, fault: &Fault) -> Result<()> {
        let ground = &mut self.ground;
        match fault.target {
            Target::Hub => strike_service(ground.system.hubs(), 0, fault).await,
            Target::Worker => {
                self.turn += 1;
                let workers = ground.system.workers();
                let turn = self.turn % workers.len();
                strike_service(workers, turn, fault).await
            }
            Target::Database | Target::Broker | Target::Redis => {
                strike_server(ground.process(fault.target)?, fault).await
            }
        }
    }

    /// From the built-in analyser to the webhook.
    async fn use_webhook(&mut self) -> Result<()> {
        let url = self.ground.analyser.url();
        let system = &mut self.ground.system;
        if system.workers_have("N8N__WebhookUrl") {
            return Ok(());
        }
        system.set_workers("N8N__WebhookUrl", Some(&url));
        for worker in system.workers() {
            worker.stop().await?;
            worker.start().await?;
        }
        self.tell("the workers now use the webhook");
        Ok(())
    }

    /// A platform would start again what ended by itself; so that is done here,
    /// and told in the report.
    async fn look_for_ended(&mut self) -> Result<()> {
        let system = &mut self.ground.system;
        let mut ended = Vec::new();
        let hubs = system.hubs().iter_mut().enumerate();
        for (index, hub) in hubs {
            ended.extend(start_ended(hub, "hub", index).await?);
        }
        let workers = system.workers().iter_mut().enumerate();
        for (index, worker) in workers {
            ended.extend(start_ended(worker, "worker", index).await?);
        }
        for what in &ended {
            self.tell(what);
        }
        self.history.ended.extend(ended);
        Ok(())
    }

    #[expect(clippy::print_stderr, reason = "who watches a run wants to see it")]
    fn tell(&self, what: &str) {
        eprintln!("{:7.1} s  {what}", self.started.elapsed().as_secs_f64());
    }
}

async fn start_ended(
    service: &mut crate::Service,
    name: &str,
    index: usize,
) -> Result<Option<String>> {
    let Some(status) = service.ended()? else {
        return Ok(None);
    };
    service.start().await?;
    Ok(Some(format!("{name} {index} ended by itself: {status}")))
}

async fn strike_server(process: &mut private_services::Server, fault: &Fault) -> Result<()> {
    match fault.deed {
        Deed::Freeze => {
            process.freeze().await?;
            sleep(fault.lasts).await;
            return Ok(process.thaw().await?);
        }
        Deed::Restart => process.stop().await?,
        _ => process.kill().await?,
    }
    sleep(fault.lasts).await;
    Ok(process.start_again().await?)
}

async fn strike_service(services: &mut [crate::Service], turn: usize, fault: &Fault) -> Result<()> {
    let service = &mut services[turn];
    // What ended by itself is told and started after the fault.
    if service.has_ended()? {
        return Ok(());
    }
    match fault.deed {
        Deed::Freeze => {
            service.freeze().await?;
            sleep(fault.lasts).await;
            return service.thaw().await;
        }
        Deed::Restart => service.stop().await?,
        _ => service.kill().await?,
    }
    sleep(fault.lasts).await;
    service.start().await
}
