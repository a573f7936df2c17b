//! SIGHUP: the settings are read again, and the switches set as they say.

use std::convert::Infallible;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{SwitchChange, Switches};
use crate::config::{Config, Sources};

/// Waits for SIGHUP until `stop`. What else the settings say takes effect with
/// the next start.
pub(crate) async fn reload_on_hangup(
    switches: Switches,
    sources: Sources,
    stop: CancellationToken,
) -> Result<(), Infallible> {
    let mut hangup = match signal(SignalKind::hangup()) {
        Ok(hangup) => hangup,
        Err(error) => {
            tracing::warn!(%error, "switches.no_signal: SIGHUP cannot be heard");
            stop.cancelled().await;
            return Ok(());
        }
    };
    while stop
        .run_until_cancelled(hangup.recv())
        .await
        .flatten()
        .is_some()
    {
        match Config::load_from(&sources) {
            Ok(config) => {
                tracing::info!("switches.reload: SIGHUP");
                if let Err(error) = switches.change(&SwitchChange::of_settings(&config)) {
                    tracing::error!(%error, "switches.reload_failed");
                }
            }
            Err(error) => {
                tracing::error!(%error, "switches.reload_failed: nothing has changed");
            }
        }
    }
    stop.cancelled().await;
    Ok(())
}

impl SwitchChange {
    /// Everything as the settings say.
    fn of_settings(config: &Config) -> Self {
        let switches = &config.switches;
        Self {
            enable_signalr: Some(switches.enable_signalr),
            realtime_streaming_v2: Some(switches.realtime_streaming_v2),
            realtime_rollout_percent: Some(switches.realtime_rollout_percent),
            rollout_allow_list: Some(switches.rollout_allow_list.clone()),
            log_filter: Some(config.log.filter.clone()),
            maintenance_notice: None,
        }
    }
}
