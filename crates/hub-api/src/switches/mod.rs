//! What an operator turns on and off while the hub runs: live updates, the
//! stream, the rollout, what is logged, a notice to all clients.
//!
//! [`Switches`] is the one place where it is kept. What requests look at is
//! one atomic number; a change takes effect at once. They are set by settings
//! at the start and on SIGHUP (`reload`), and by operators over HTTP; on
//! several hubs each tells the others. `gate` keeps new clients out, `leave`
//! closes the connections of those that are in.

mod gate;
mod leave;
mod reload;

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use utoipa::ToSchema;

use crate::config::SwitchConfig;

pub(crate) use gate::{admission, switch_gate};
pub(crate) use leave::close_those_who_may_not_stay;
pub(crate) use reload::reload_on_hangup;

/// The event by which clients are told of a notice.
pub const NOTICE_EVENT: &str = "ReceiveMaintenanceNotice";

/// The switches. Clones share them.
#[derive(Debug, Clone)]
pub struct Switches {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// [`SwitchState`], packed.
    state: AtomicU64,
    allowed: RwLock<HashSet<String>>,
    notice: RwLock<Option<MaintenanceNotice>>,
    /// One change after another.
    changing: parking_lot::Mutex<()>,
    changed: watch::Sender<u64>,
}

/// How the switches stand at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SwitchState {
    /// Clients' hubs are served.
    pub signalr: bool,
    /// The unified stream is served.
    pub streaming_v2: bool,
    /// The share of users who are served live, 0 to 100.
    pub rollout_percent: u8,
    /// There is a notice for clients.
    pub has_notice: bool,
}

/// A text for everybody who is connected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MaintenanceNotice {
    /// What people are told; 1 to 500 characters.
    pub message: String,
    /// Until when, in words or as a date, as the clients show it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

/// A change of some switches; what is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SwitchChange {
    /// Whether clients' hubs are served. `false` closes their connections;
    /// everything else goes on, and users can poll.
    #[serde(
        default,
        rename = "enableSignalR",
        skip_serializing_if = "Option::is_none"
    )]
    pub enable_signalr: Option<bool>,
    /// Whether the unified stream is served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub realtime_streaming_v2: Option<bool>,
    /// The share of users who are served live, 0 to 100: always the same ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub realtime_rollout_percent: Option<u8>,
    /// Users who are served live whatever the share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout_allow_list: Option<Vec<String>>,
    /// What is logged, as in `RUST_LOG`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_filter: Option<String>,
    /// A text for everybody who is or gets connected; `null` takes it back.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<MaintenanceNotice>)]
    pub maintenance_notice: Option<Option<MaintenanceNotice>>,
}

/// Tells null from absent.
fn present<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<MaintenanceNotice>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// What is wrong with a change.
#[derive(Debug, thiserror::Error)]
#[error("{field} {problem}")]
pub struct BadChange {
    /// The member.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: &'static str,
    /// What it may be.
    pub accepted: &'static str,
}

const MOST_ALLOWED: usize = 1_000;
const LONGEST_NOTICE: usize = 500;

const SIGNALR: u64 = 1;
const STREAMING_V2: u64 = 1 << 1;
const NOTICE: u64 = 1 << 2;
const PERCENT_AT: u32 = 8;

impl SwitchState {
    fn pack(self) -> u64 {
        let flag = |on: bool, bit: u64| if on { bit } else { 0 };
        flag(self.signalr, SIGNALR)
            | flag(self.streaming_v2, STREAMING_V2)
            | flag(self.has_notice, NOTICE)
            | u64::from(self.rollout_percent) << PERCENT_AT
    }

    fn unpack(packed: u64) -> Self {
        Self {
            signalr: packed & SIGNALR != 0,
            streaming_v2: packed & STREAMING_V2 != 0,
            has_notice: packed & NOTICE != 0,
            rollout_percent: (packed >> PERCENT_AT & 0xff) as u8,
        }
    }
}

impl Switches {
    /// As the settings say.
    #[must_use]
    pub fn new(config: &SwitchConfig) -> Self {
        let state = SwitchState {
            signalr: config.enable_signalr,
            streaming_v2: config.realtime_streaming_v2,
            rollout_percent: config.realtime_rollout_percent,
            has_notice: false,
        };
        let allowed = config.rollout_allow_list.iter().cloned().collect();
        Self {
            shared: Arc::new(Shared {
                state: AtomicU64::new(state.pack()),
                allowed: RwLock::new(allowed),
                notice: RwLock::default(),
                changing: parking_lot::Mutex::default(),
                changed: watch::Sender::new(0),
            }),
        }
    }

    /// How they stand: one look at one number.
    #[must_use]
    pub fn state(&self) -> SwitchState {
        SwitchState::unpack(self.shared.state.load(Ordering::Acquire))
    }

    /// Whether the rollout has reached a user.
    #[must_use]
    pub fn reaches(&self, user: &str) -> bool {
        let percent = self.state().rollout_percent;
        percent >= 100 || place(user) < percent || self.shared.allowed.read().contains(user)
    }

    /// The notice for clients.
    #[must_use]
    pub fn notice(&self) -> Option<MaintenanceNotice> {
        match self.state().has_notice {
            true => self.shared.notice.read().clone(),
            false => None,
        }
    }

    /// Users who are served live whatever the share, in order.
    #[must_use]
    pub fn allow_list(&self) -> Vec<String> {
        let mut users: Vec<String> = self.shared.allowed.read().iter().cloned().collect();
        users.sort_unstable();
        users
    }

    /// Changes with each change.
    #[must_use]
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.shared.changed.subscribe()
    }

    /// Makes a change, all of it or nothing.
    ///
    /// # Errors
    /// [`BadChange`] says what is wrong; then nothing has changed.
    pub fn change(&self, change: &SwitchChange) -> Result<(), BadChange> {
        check(change)?;
        let _one_by_one = self.shared.changing.lock();
        if let Some(filter) = &change.log_filter {
            match telemetry::set_log_filter(filter) {
                // A hub inside of another program: its logs are that program's.
                Ok(()) | Err(telemetry::FilterError::NotStarted) => {}
                Err(telemetry::FilterError::Unreadable) => {
                    return Err(BadChange {
                        field: "logFilter",
                        problem: "it is no filter",
                        accepted: "a level, or target=level, with commas between",
                    });
                }
            }
        }
        let mut state = self.state();
        if let Some(users) = &change.rollout_allow_list {
            *self.shared.allowed.write() = users.iter().cloned().collect();
        }
        if let Some(notice) = &change.maintenance_notice {
            state.has_notice = notice.is_some();
            self.shared.notice.write().clone_from(notice);
        }
        state.signalr = change.enable_signalr.unwrap_or(state.signalr);
        state.streaming_v2 = change.realtime_streaming_v2.unwrap_or(state.streaming_v2);
        let percent = change.realtime_rollout_percent;
        state.rollout_percent = percent.unwrap_or(state.rollout_percent);
        self.shared.state.store(state.pack(), Ordering::Release);
        self.shared
            .changed
            .send_modify(|version| *version = version.wrapping_add(1));
        tracing::warn!(
            signalr = state.signalr,
            streaming_v2 = state.streaming_v2,
            rollout_percent = state.rollout_percent,
            notice = state.has_notice,
            log = change.log_filter,
            "switches.changed"
        );
        Ok(())
    }
}

fn check(change: &SwitchChange) -> Result<(), BadChange> {
    let bad = |field, problem, accepted| {
        Err(BadChange {
            field,
            problem,
            accepted,
        })
    };
    if change
        .realtime_rollout_percent
        .is_some_and(|percent| percent > 100)
    {
        return bad("realtimeRolloutPercent", "it is no percentage", "0 to 100");
    }
    if let Some(users) = &change.rollout_allow_list {
        let good = |user: &String| shared_dto::UserId::new(user).is_ok();
        if users.len() > MOST_ALLOWED || !users.iter().all(good) {
            let accepted = "at most 1000 user ids";
            return bad(
                "rolloutAllowList",
                "it is too long or holds no ids",
                accepted,
            );
        }
    }
    if let Some(Some(notice)) = &change.maintenance_notice {
        let plain = |text: &str| {
            let length = text.chars().count();
            (1..=LONGEST_NOTICE).contains(&length) && !text.chars().any(char::is_control)
        };
        if !plain(&notice.message) || notice.until.as_deref().is_some_and(|text| !plain(text)) {
            let accepted = "texts of 1 to 500 characters without control characters";
            return bad("maintenanceNotice", "it cannot be shown", accepted);
        }
    }
    Ok(())
}

/// A user's place in the rollout, 0 to 99: the same on every hub and for ever,
/// so that whoever is reached by a share is reached by every larger one.
fn place(user: &str) -> u8 {
    let hash = Sha256::digest(user.as_bytes());
    let first = u64::from_be_bytes(hash[..8].try_into().expect("a hash has 32 bytes"));
    (first % 100) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn switches() -> Switches {
        Switches::new(&SwitchConfig {
            enable_signalr: true,
            realtime_streaming_v2: true,
            realtime_rollout_percent: 100,
            rollout_allow_list: vec!["7".to_owned()],
        })
    }

    fn percent(percent: u8) -> SwitchChange {
        SwitchChange {
            realtime_rollout_percent: Some(percent),
            ..SwitchChange::default()
        }
    }

    #[test]
    fn a_state_is_unpacked_as_it_was_packed() {
        for packed in 0..8 {
            for rollout_percent in [0, 1, 50, 100] {
                let state = SwitchState {
                    rollout_percent,
                    ..SwitchState::unpack(packed)
                };
                assert_eq!(SwitchState::unpack(state.pack()), state);
            }
        }
    }

    #[test]
    fn a_share_of_users_is_reached_and_a_larger_share_reaches_them_too() {
        let switches = switches();
        let users: Vec<String> = (1..=2_000).map(|user| user.to_string()).collect();
        let mut before = Vec::new();
        for share in [0, 1, 10, 50, 99, 100] {
            switches.change(&percent(share)).unwrap();
            let reached: Vec<bool> = users.iter().map(|user| switches.reaches(user)).collect();
            assert!(reached[6], "user 7 is on the list");
            let kept = before.iter().zip(&reached).all(|(was, is)| !was || *is);
            assert!(kept, "{share}");
            let count = reached.iter().filter(|reached| **reached).count();
            let expected = usize::from(share) * 20;
            assert!(count.abs_diff(expected) <= 60, "{share}: {count}");
            before = reached;
        }
    }

    #[test]
    fn a_bad_change_changes_nothing() {
        let switches = switches();
        let long = "x".repeat(501);
        let notice = |message: &str| SwitchChange {
            enable_signalr: Some(false),
            maintenance_notice: Some(Some(MaintenanceNotice {
                message: message.to_owned(),
                until: None,
            })),
            ..SwitchChange::default()
        };
        let filter = SwitchChange {
            enable_signalr: Some(false),
            log_filter: Some("loudly".to_owned()),
            ..SwitchChange::default()
        };
        for bad in [
            percent(101),
            notice(""),
            notice(&long),
            notice("a\nb"),
            filter,
        ] {
            switches.change(&bad).unwrap_err();
            assert!(switches.state().signalr);
        }
        switches.change(&notice("Back at noon.")).unwrap();
        assert!(!switches.state().signalr && switches.notice().is_some());
        let back: SwitchChange = serde_json::from_str(r#"{"maintenanceNotice":null}"#).unwrap();
        switches.change(&back).unwrap();
        assert!(!switches.state().signalr && switches.notice().is_none());
    }
}
