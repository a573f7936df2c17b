//! Whether everything that was accepted is where it must be.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Result;
use shared_dto::notification::Notification;
use tokio::time::sleep;

use super::{
    device::{Devices, Received},
    ground::Access,
    ledger::{Entry, Ledger},
    load::number_of,
};

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) completed: usize,
    pub(super) failed: usize,
    pub(super) notifications: usize,
    pub(super) received: usize,
    pub(super) repeats: usize,
    pub(super) connections: usize,
    /// Accepted, and not in the log or not received.
    pub(super) lost: Vec<String>,
    /// More than once in the log.
    pub(super) twice: Vec<String>,
    /// In another order than they were accepted in, or with holes.
    pub(super) disordered: Vec<String>,
    /// Received by somebody else, or in the log though never accepted.
    pub(super) strange: Vec<String>,
}

impl Findings {
    pub(super) fn are_good(&self) -> bool {
        self.problems().next().is_none()
    }

    pub(super) fn problems(&self) -> impl Iterator<Item = &String> {
        let Self {
            lost,
            twice,
            disordered,
            strange,
            ..
        } = self;
        lost.iter().chain(twice).chain(disordered).chain(strange)
    }
}

/// Waits until each user's log is as long as the ledger says, and each client has it.
pub(super) async fn settle(access: &Access, ledger: &Ledger, devices: &Devices) -> Result<()> {
    for (user, entries) in by_user(ledger.read()?) {
        let api = access.api(user);
        let expected = i64::try_from(entries.len())?;
        loop {
            if let Ok(page) = api.notifications(expected, 1).await
                && page.head >= expected
            {
                break;
            }
            sleep(Duration::from_millis(250)).await;
        }
        devices.await_received(user, entries.len()).await;
    }
    Ok(())
}

/// Compares ledger, log, and what was received.
pub(super) async fn judge(access: &Access, ledger: &Ledger, devices: &Devices) -> Result<Findings> {
    let mut findings = Findings::default();
    let mut received: BTreeMap<i64, Vec<Received>> = BTreeMap::new();
    for (user, of_device) in devices.received() {
        received.entry(user).or_default().push(of_device);
    }
    for (user, entries) in by_user(ledger.read()?) {
        let log = access.api(user).whole_log().await?;
        findings.compare_log(user, &entries, &log);
        for device in received.remove(&user).unwrap_or_default() {
            findings.compare_received(user, &log, &device);
        }
    }
    Ok(findings)
}

fn by_user(entries: Vec<Entry>) -> BTreeMap<i64, Vec<Entry>> {
    let mut users: BTreeMap<i64, Vec<Entry>> = BTreeMap::new();
    for entry in entries {
        users.entry(entry.user()).or_default().push(entry);
    }
    users
}

impl Findings {
    fn compare_log(&mut self, user: i64, entries: &[Entry], log: &[Notification]) {
        let mut analyses: BTreeMap<i64, usize> = BTreeMap::new();
        let mut numbers: BTreeMap<i64, Vec<&Notification>> = BTreeMap::new();
        for (position, entry) in (1..).zip(log) {
            if entry.sequence != position {
                let sequence = entry.sequence;
                let problem = format!("user {user}: entry {position} has the sequence {sequence}");
                self.disordered.push(problem);
            }
            if entry.payload["userId"] != user {
                let problem = format!("user {user}: {} is another's", entry.payload);
                self.strange.push(problem);
            }
            match (
                number_of(&entry.payload),
                entry.payload["analysisId"].as_i64(),
            ) {
                (Some(number), _) => numbers.entry(number).or_default().push(entry),
                (None, Some(id)) => {
                    *analyses.entry(id).or_default() += 1;
                    self.count_end(entry);
                }
                (None, None) => self.strange.push(format!("user {user}: {}", entry.payload)),
            }
        }
        let mut newest = 0;
        for entry in entries {
            match *entry {
                Entry::Analysis { id, .. } => {
                    let times = analyses.remove(&id).unwrap_or(0);
                    self.once(times, || format!("user {user}: analysis {id}"));
                }
                Entry::Notification {
                    number,
                    notification_id,
                    sequence,
                    ..
                } => {
                    let found = numbers.remove(&number).unwrap_or_default();
                    let what = || format!("user {user}: notification {number}");
                    self.once(found.len(), what);
                    self.notifications += found.len();
                    let Some(found) = found.first() else { continue };
                    if (found.sequence, found.notification_id) != (sequence, notification_id) {
                        self.strange
                            .push(format!("{} has another place than was answered", what()));
                    }
                    if sequence < newest {
                        self.disordered
                            .push(format!("{} is before an earlier one", what()));
                    }
                    newest = sequence;
                }
            }
        }
        let unknown = analyses
            .keys()
            .map(|id| format!("user {user}: analysis {id} was never accepted"));
        self.strange.extend(unknown);
        let unknown = numbers
            .keys()
            .map(|it| format!("user {user}: notification {it} was never accepted"));
        self.strange.extend(unknown);
    }

    fn count_end(&mut self, entry: &Notification) {
        if entry.event == "ReceiveAnalysisFailed" {
            self.failed += 1;
        } else {
            self.completed += 1;
        }
    }

    fn once(&mut self, times: usize, what: impl Fn() -> String) {
        match times {
            1 => {}
            0 => self.lost.push(format!("{} is not in the log", what())),
            _ => self
                .twice
                .push(format!("{} is {times} times in the log", what())),
        }
    }

    fn compare_received(&mut self, user: i64, log: &[Notification], device: &Received) {
        self.received += device.ids.len();
        self.repeats += device.repeats;
        self.connections += device.connected.len();
        self.strange.extend(device.faults.iter().cloned());
        for (entry, id) in log.iter().zip(&device.ids) {
            if entry.notification_id != *id {
                let sequence = entry.sequence;
                let problem = format!("user {user}: another notification came as {sequence}");
                self.strange.push(problem);
            }
        }
        if let Some(missing) = log.get(device.ids.len()) {
            let from = missing.sequence;
            let head = log.len();
            let problem = format!("user {user}: a client has not received {from} to {head}");
            self.lost.push(problem);
        }
    }
}
