//! Keys that an issuer publishes at an address (JWKS): fetched at start and
//! from time to time, kept while the source is away, and looked for anew when a
//! token names a key that is not known, but not more often than is allowed.
//!
//! Nothing of a token decides where keys come from.

mod document;

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::RwLock;
use reqwest::{Client, Url, redirect::Policy};
use tokio::{
    sync::Mutex,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::VerificationKey;
use crate::config::JwtConfig;

/// For one answer of the source, with all of its body.
const PATIENCE: Duration = Duration::from_secs(5);
/// A longer answer is no set of keys.
const LONGEST_SET: usize = 256 * 1024;
/// The first pause after a failure; it doubles up to the usual time between two looks.
const FIRST_PAUSE: Duration = Duration::from_secs(2);

/// Why keys could not be had.
#[derive(Debug, thiserror::Error)]
pub enum JwksError {
    /// The address or the client cannot be used.
    #[error("cannot use the address of the keys")]
    Address,
    /// There was no answer, or none with success.
    #[error("the source of the keys does not answer as it should")]
    Source(#[source] reqwest::Error),
    /// The answer took too long.
    #[error("the source of the keys does not answer in time")]
    TimedOut,
    /// The answer is too long.
    #[error("the source of the keys answers with more than {LONGEST_SET} bytes")]
    TooLong,
    /// The answer is no set, or holds no key that is accepted here.
    #[error("the source of the keys answers with no set of usable keys")]
    NoKeys,
}

/// How the source is, for health and checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JwksReport {
    /// Keys that are known.
    pub keys: usize,
    /// How old they are; none before the first success.
    pub age: Option<Duration>,
    /// Whether the last attempt failed.
    pub failing: bool,
}

/// The published keys.
#[derive(Debug)]
pub struct Jwks {
    url: Url,
    client: Client,
    refresh: Duration,
    cooldown: Duration,
    known: RwLock<Known>,
    /// When the source was asked last. Held while it is asked, so that one
    /// request stands for all that wait.
    asked: Arc<Mutex<Option<Instant>>>,
}

#[derive(Debug, Default)]
struct Known {
    keys: Arc<[VerificationKey]>,
    at: Option<Instant>,
    failing: bool,
}

impl Jwks {
    /// The source that the configuration names, where it names one.
    ///
    /// # Errors
    /// [`JwksError::Address`] for what is no address.
    pub fn from_config(config: &JwtConfig) -> Result<Option<Arc<Self>>, JwksError> {
        let Some(url) = &config.jwks_url else {
            return Ok(None);
        };
        let client = Client::builder()
            // Keys are believed because of where they come from.
            .redirect(Policy::none())
            .no_proxy()
            .timeout(PATIENCE)
            .build()
            .map_err(|_| JwksError::Address)?;
        Ok(Some(Arc::new(Self {
            url: Url::parse(url).map_err(|_| JwksError::Address)?,
            client,
            refresh: config.jwks_refresh,
            cooldown: config.jwks_cooldown,
            known: RwLock::default(),
            asked: Arc::default(),
        })))
    }

    /// The keys as they are known now.
    pub(super) fn keys(&self) -> Arc<[VerificationKey]> {
        Arc::clone(&self.known.read().keys)
    }

    /// How the source is.
    #[must_use]
    pub fn report(&self) -> JwksReport {
        let known = self.known.read();
        JwksReport {
            keys: known.keys.len(),
            age: known.at.map(|at| at.elapsed()),
            failing: known.failing,
        }
    }

    /// Looks for keys that came since `seen` was taken, unless the source was
    /// asked a moment ago; gives whether there are others now.
    pub(super) async fn look_again(self: &Arc<Self>, seen: &Arc<[VerificationKey]>) -> bool {
        let mut asked = Arc::clone(&self.asked).lock_owned().await;
        // Who waited for another one's request has its result.
        if !Arc::ptr_eq(seen, &self.keys()) {
            return true;
        }
        if asked.is_some_and(|at| at.elapsed() < self.cooldown) {
            return false;
        }
        *asked = Some(Instant::now());
        // A caller that hangs up must not take with it the one request that all
        // others wait for. It ends by its time limit.
        let this = Arc::clone(self);
        let asking = tokio::spawn(async move {
            let _held = asked;
            this.ask().await.is_ok()
        });
        asking.await.unwrap_or(false)
    }

    /// Keeps the keys fresh until `stop`.
    ///
    /// # Errors
    /// None: a source that is away is asked again.
    pub async fn keep_up(self: Arc<Self>, stop: CancellationToken) -> Result<(), Infallible> {
        let mut pause = FIRST_PAUSE;
        loop {
            let asked = async {
                let mut asked = self.asked.lock().await;
                *asked = Some(Instant::now());
                self.ask().await
            };
            let wait = match stop.run_until_cancelled(asked).await {
                None => return Ok(()),
                Some(Ok(())) => {
                    pause = FIRST_PAUSE;
                    self.refresh
                }
                Some(Err(_)) => {
                    pause = (pause * 2).min(self.refresh);
                    pause
                }
            };
            let wait = wait.mul_f64(rand::random_range(0.8..1.2));
            if stop.run_until_cancelled(sleep(wait)).await.is_none() {
                return Ok(());
            }
        }
    }

    /// Asks the source once. What is known stays when it fails.
    ///
    /// # Errors
    /// [`JwksError`] says why.
    pub(crate) async fn ask(&self) -> Result<(), JwksError> {
        let fetched = match timeout(PATIENCE, self.fetch()).await {
            Ok(fetched) => fetched,
            Err(_) => Err(JwksError::TimedOut),
        };
        let mut known = self.known.write();
        match fetched {
            Ok(keys) => {
                if known.failing || known.at.is_none() {
                    tracing::info!(
                        keys = keys.len(),
                        "jwks.fetched: the issuer's keys are here"
                    );
                }
                *known = Known {
                    keys: keys.into(),
                    at: Some(Instant::now()),
                    failing: false,
                };
                Ok(())
            }
            Err(error) => {
                known.failing = true;
                let kept = known.keys.len();
                drop(known);
                tracing::warn!(
                    error = %crate::lifecycle::describe(&error),
                    kept,
                    "jwks.failed: the issuer's keys cannot be had; those that are known are kept"
                );
                Err(error)
            }
        }
    }

    async fn fetch(&self) -> Result<Vec<VerificationKey>, JwksError> {
        // The address may hold a key of its own and stays out of errors.
        let source = |error: reqwest::Error| JwksError::Source(error.without_url());
        let answer = self.client.get(self.url.clone()).send().await;
        let mut answer = answer
            .and_then(reqwest::Response::error_for_status)
            .map_err(source)?;
        if !answer.status().is_success() {
            return Err(JwksError::NoKeys);
        }
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(source)? {
            if body.len() + piece.len() > LONGEST_SET {
                return Err(JwksError::TooLong);
            }
            body.extend_from_slice(&piece);
        }
        match document::read(&body) {
            Some(keys) if !keys.is_empty() => Ok(keys),
            _ => Err(JwksError::NoKeys),
        }
    }
}
