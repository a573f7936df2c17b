//! The way of a notification, from post to client and back: that it arrives,
//! how fast, and that nothing but the client confirms it.

use std::time::{Duration, Instant};

use checklist::{Item, Web};
use http::{Method, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use shared_dto::{UserId, notify::INTERNAL_SECRET_HEADER};

use super::client::{ClientError, HubClient};

const EVENT: &str = "TendrilCheck";
/// An answer that the documents ask for on average.
const FAST: Duration = Duration::from_millis(200);
const ARRIVAL: Duration = Duration::from_secs(10);
/// A hub sends what is not confirmed a second after a client has connected.
const AGAIN: Duration = Duration::from_secs(8);
/// A forged Pong comes back faster than a client's.
const FORGERY: Duration = Duration::from_secs(1);
/// Beyond every sequence: a client that resumes there has everything.
const HEAD: i64 = 1 << 50;

/// What is needed to send a notification and to receive it.
#[derive(Debug)]
pub(super) struct Way<'a> {
    pub(super) public: &'a Web,
    pub(super) internal: &'a Web,
    pub(super) secret: &'a SecretString,
    pub(super) token: &'a str,
    pub(super) user: &'a UserId,
    /// The user is the check's own. What another one has not received or read
    /// must be as it was.
    pub(super) own: bool,
}

impl Way<'_> {
    /// Connects and calls `Ping`.
    pub(super) async fn ping(&self) -> Item {
        const NAME: &str = "ping";
        let advice = "look at the token's issuer, audience and keys, and at the proxies between: \
                      they must let WebSockets through";
        let start = Instant::now();
        let pinged = async {
            let mut client = HubClient::connect(self.public, self.token).await?;
            let connected = start.elapsed();
            let sent = Instant::now();
            client.call("Ping", json!([])).await?;
            Ok::<_, ClientError>((connected, sent.elapsed()))
        };
        match pinged.await {
            Ok((connected, answered)) => Item::pass(
                NAME,
                format!(
                    "connected in {} ms, Ping answered in {} ms",
                    connected.as_millis(),
                    answered.as_millis()
                ),
            ),
            Err(error) => Item::fail(NAME, error.to_string(), advice),
        }
    }

    /// Sends a notification through the internal link to a client.
    pub(super) async fn notification(&self) -> Item {
        const NAME: &str = "notification";
        let advice = "look at the hub's log for this notification, and at the proxies between";
        let sent = async {
            let mut client = self.live().await?;
            let start = Instant::now();
            let (nonce, sequence) = self.post().await?;
            let seen = client.event(EVENT, ARRIVAL, |payload| payload["nonce"] == *nonce);
            seen.await?;
            let took = start.elapsed();
            if self.own {
                client.call("Acknowledge", json!([sequence])).await?;
            }
            Ok::<_, ClientError>(took)
        };
        match sent.await {
            Ok(took) if took <= FAST => Item::pass(
                NAME,
                format!("from post to client in {} ms", took.as_millis()),
            ),
            Ok(took) => Item::warn(
                NAME,
                format!("from post to client in {} ms", took.as_millis()),
                "200 ms are expected: look at the database's time to commit and at the network",
            ),
            Err(error) => Item::fail(NAME, error.to_string(), advice),
        }
    }

    /// Sends a notification to a client that never answers a Ping, and looks
    /// whether the hub believes that it was received.
    pub(super) async fn forged_receipts(&self) -> Item {
        const NAME: &str = "forged receipts";
        if !self.own {
            return Item::warn(
                NAME,
                "not tried: it would confirm the notifications of the token's user",
                "run the check where Jwt__Secret is set",
            );
        }
        let advice = "set Receipts__Confirm=acknowledge: something between answers the hub's \
                      Pings in its clients' place";
        let asked = async {
            let mut silent = self.live().await?;
            silent.answer_pings(false);
            let (nonce, sequence) = self.post().await?;
            let is_it = |payload: &Value| payload["nonce"] == *nonce;
            silent.event(EVENT, ARRIVAL, is_it).await?;
            tokio::time::sleep(FORGERY).await;
            drop(silent);
            let mut next = HubClient::connect(self.public, self.token).await?;
            let again = next.event(EVENT, AGAIN, is_it).await;
            next.call("Acknowledge", json!([sequence])).await?;
            Ok::<_, ClientError>(again)
        };
        match asked.await {
            Ok(Ok(_)) => Item::pass(NAME, "what a silent client got was sent again"),
            Ok(Err(ClientError::TimedOut(_))) => {
                let found = "a notification counts as received by a client that never answered";
                Item::fail(NAME, found, advice)
            }
            Ok(Err(error)) | Err(error) => Item::warn(
                NAME,
                error.to_string(),
                "it could not be found out; try again",
            ),
        }
    }

    /// A client that gets what comes from now on.
    async fn live(&self) -> Result<HubClient, ClientError> {
        let mut client = HubClient::connect(self.public, self.token).await?;
        let resumed = client.call("Resume", json!([HEAD])).await?;
        if !self.own {
            return Ok(client);
        }
        // One that resumed where nothing is confirms nothing: the next one
        // resumes where the log ends.
        drop(client);
        let mut client = HubClient::connect(self.public, self.token).await?;
        client.call("Resume", json!([resumed["to"]])).await?;
        Ok(client)
    }

    /// Posts a notification; gives what it is known by, and its sequence.
    async fn post(&self) -> Result<(String, i64), ClientError> {
        let mut random = [0; 8];
        // Two checks at once must not take each other's.
        let _ = getrandom::fill(&mut random);
        let nonce = format!("{:016x}", u64::from_be_bytes(random));
        let body = json!({"event": EVENT, "userId": self.user, "payload": {"nonce": nonce}});
        let posted = self
            .internal
            .request(Method::POST, "/internal/notify")
            .header(INTERNAL_SECRET_HEADER, self.secret.expose_secret())
            .json(&body)
            .send()
            .await
            .map_err(|error| ClientError::Refused(checklist::cause(error)))?;
        let status = posted.status();
        if status != StatusCode::ACCEPTED {
            let text = format!("the internal call was answered {status}");
            return Err(ClientError::Refused(text));
        }
        let answer = checklist::json(posted).await.unwrap_or_default();
        Ok((nonce, answer["sequence"].as_i64().unwrap_or_default()))
    }
}
