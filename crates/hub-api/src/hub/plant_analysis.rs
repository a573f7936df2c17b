//! `/hubs/plantanalysis`: the hub that tells people that their job is done.

use std::{sync::Arc, time::Duration};

use serde::Deserialize;
use shared_dto::{UserId, notification::Resumed};
use signalr::{
    Authorization, BuildError, Clients, Context, DisconnectReason, Hub, HubError, HubOptions,
    HubServer, ReceiptSource, State, TokenKey,
};
use time::{OffsetDateTime, macros::format_description};

use crate::{
    config::SignalRConfig,
    delivery::{self, Delivery},
    limits::{InvocationLimit, UserLimits},
    metrics::{HubFigures, Metrics},
    store::StoreError,
    switches::{NOTICE_EVENT, Switches, admission},
};

/// Where the hub is mounted.
pub const PATH: &str = "/hubs/plantanalysis";

/// How internal calls name it.
pub const NAME: &str = "plantanalysis";

/// A new client waits for its subscriptions; where Redis hangs, no longer
/// than this.
const BACKPLANE_PATIENCE: Duration = Duration::from_secs(2);

/// The hub.
#[derive(Debug)]
pub struct PlantAnalysisHub {
    delivery: Delivery,
    switches: Switches,
    figures: Arc<HubFigures>,
    max_connections_per_user: usize,
}

/// Makes the hub ready to be mounted at [`PATH`].
///
/// # Errors
/// [`BuildError`] for limits that make no sense.
pub(crate) fn build(
    delivery: Delivery,
    settings: SignalRConfig,
    token_key: TokenKey,
    limits: Arc<UserLimits>,
    metrics: &Metrics,
    switches: Switches,
) -> Result<HubServer, BuildError> {
    let options = HubOptions {
        backplane_timeout: BACKPLANE_PATIENCE,
        ..super::options(&settings, token_key)
    };
    let backplane = delivery.nodes().backplane();
    let figures = metrics.hub("plantanalysis", &["Ping", "Resume", "Acknowledge"]);
    let gate = switches.clone();
    let hub = PlantAnalysisHub {
        delivery,
        switches,
        figures: Arc::clone(&figures),
        max_connections_per_user: settings.max_connections_per_user,
    };
    let mut hub = HubServer::builder(hub);
    if let Some(backplane) = backplane {
        hub = hub.backplane(backplane);
    }
    hub.options(options)
        .filter(InvocationLimit(limits))
        .observer(figures)
        .gate(move |request| admission(&gate, request))
        .authorize(Authorization::Authenticated)
        .method("Ping", ping)
        .method("Resume", resume)
        .method("Acknowledge", acknowledge)
        .build()
}

/// Marks a connection that had room.
struct Came;

impl Hub for PlantAnalysisHub {
    async fn on_connected(&self, context: &Context) -> Result<(), HubError> {
        let user = user(context)?;
        if !self.has_room(context, &user).await {
            self.delivery
                .nodes()
                .leave(&user, context.connection_id().as_str());
            let text = format!(
                "You are connected from {} devices already. Close one of them and try again.",
                self.max_connections_per_user
            );
            context.close(Some(text), false);
            return Ok(());
        }
        self.figures.user_came(user.as_str());
        context.insert(Came);
        if let Some(notice) = self.switches.notice() {
            let caller = context.clients().caller();
            caller.send(NOTICE_EVENT, (notice,)).await;
        }
        self.delivery.open(context, &user);
        Ok(())
    }

    async fn on_disconnected(&self, context: &Context, _: &DisconnectReason) {
        if let Ok(user) = user(context) {
            let id = context.connection_id();
            self.delivery.nodes().leave(&user, id.as_str());
            // One that was refused never came, and its next attempt is none
            // to reconnect.
            if context.get::<Came>().is_some() {
                self.figures.user_left(user.as_str());
            }
        }
    }

    fn on_receipt(&self, context: &Context, tag: u64, source: ReceiptSource) {
        self.delivery.receipt(context, tag, source);
    }
}

impl PlantAnalysisHub {
    /// Whether the user may have this connection too, on all nodes together:
    /// silent ones give way first, then the newest is refused.
    async fn has_room(&self, context: &Context, user: &UserId) -> bool {
        let mine = context.connection_id();
        let mut earlier = context.hub().connections_of(user.as_str());
        earlier.retain(|each| !each.is_closing());
        let position = earlier.iter().position(|each| each.connection_id() == mine);
        earlier.truncate(position.unwrap_or(earlier.len()));
        let here = earlier.len() + 1;
        let spare = self.max_connections_per_user.saturating_sub(here);
        let nodes = self.delivery.nodes();
        let elsewhere = nodes.enter(user, mine.as_str(), spare).await.elsewhere;
        let excess = (here + elsewhere).saturating_sub(self.max_connections_per_user);
        delivery::give_way(&earlier, excess).len() >= excess
    }
}

/// `Ping()`: shows that the connection works; the caller gets `Pong(utcNow)`.
async fn ping(clients: Clients) -> Result<(), HubError> {
    // Seven digits, as .NET writes a DateTime.
    let format =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:7]Z");
    let now = OffsetDateTime::now_utc().format(format)?;
    clients.caller().send("Pong", (now,)).await;
    Ok(())
}

/// A number, or `"epoch:sequence"`: the last entry that the client has.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Cursor {
    Sequence(i64),
    Text(String),
}

impl Cursor {
    fn parse(&self) -> Option<(Option<&str>, i64)> {
        let (epoch, sequence) = match self {
            Self::Sequence(sequence) => (None, *sequence),
            Self::Text(text) => match text.rsplit_once(':') {
                Some((epoch, sequence)) => (Some(epoch), sequence.parse().ok()?),
                None => (None, text.parse().ok()?),
            },
        };
        (sequence >= 0).then_some((epoch, sequence))
    }
}

/// `Resume(cursor)`: replays what the caller missed, then live events go on.
async fn resume(
    hub: State<PlantAnalysisHub>,
    context: Context,
    cursor: Cursor,
) -> Result<Resumed, HubError> {
    let Some((epoch, after)) = cursor.parse() else {
        return Err(HubError::new(
            "The cursor is a sequence from 0, or \"epoch:sequence\" as Resume returned them.",
        ));
    };
    hub.delivery
        .resume(&context, epoch, after)
        .await
        .map_err(unavailable)
}

/// `Acknowledge(sequence)`: the caller's user saw everything up to here.
async fn acknowledge(
    hub: State<PlantAnalysisHub>,
    context: Context,
    sequence: i64,
) -> Result<(), HubError> {
    if sequence < 1 {
        return Err(HubError::new(
            "The sequence is that of a notification, from 1.",
        ));
    }
    hub.delivery
        .acknowledge(&context, sequence)
        .await
        .map_err(unavailable)
}

fn unavailable(error: StoreError) -> HubError {
    tracing::warn!(%error, "the notification log is not available to a hub method");
    HubError::new("The notification log is not available now. Try again.")
}

fn user(context: &Context) -> Result<UserId, HubError> {
    let user = context
        .user_id()
        .ok_or_else(|| HubError::new("The token names no user."))?;
    Ok(UserId::new(user)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(json: &str) -> Option<(Option<String>, i64)> {
        let cursor: Cursor = serde_json::from_str(json).ok()?;
        cursor
            .parse()
            .map(|(epoch, sequence)| (epoch.map(str::to_owned), sequence))
    }

    #[test]
    fn a_cursor_is_a_number_or_epoch_and_sequence() {
        assert_eq!(parsed("7"), Some((None, 7)));
        assert_eq!(parsed("\"7\""), Some((None, 7)));
        assert_eq!(parsed("\"abc:7\""), Some((Some("abc".to_owned()), 7)));
        for wrong in [
            "-1",
            "1.5",
            "null",
            "\"\"",
            "\"abc:\"",
            "\"abc\"",
            "\"abc:-1\"",
            "[7]",
        ] {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }
    }
}
