//! Pictures in doubt: kept for an analysis of which the database did not say
//! in time whether it was written. Later it is asked again, and a picture that
//! nothing names is removed.
//!
//! They are remembered in memory alone. What a hub that is killed knew of
//! stays where it is, which costs space and nothing else.

use std::{collections::VecDeque, convert::Infallible, time::Duration};

use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::ImageStore;
use crate::store::{PictureOf, Store};

/// Between two questions. A session of PostgreSQL that lost its hub ends
/// sooner, by `statement_timeout` and the others that the store sets.
const PAUSE: Duration = Duration::from_secs(10);

/// More than these are left where they are.
const MOST: usize = 4096;

/// The pictures that are in doubt.
#[derive(Debug, Default)]
pub(crate) struct InDoubt {
    /// In the order of their next questions.
    waiting: Mutex<VecDeque<Picture>>,
    arrived: Notify,
}

#[derive(Debug)]
struct Picture {
    key: String,
    of: PictureOf,
    /// How often in a row nothing named it.
    unnamed: u32,
    ask_at: Instant,
}

impl InDoubt {
    /// The picture under `key` may be that of an analysis, or of none.
    pub(crate) fn add(&self, key: String, of: PictureOf) {
        self.wait_again(Picture {
            key,
            of,
            unnamed: 0,
            ask_at: Instant::now(),
        });
    }

    fn wait_again(&self, mut picture: Picture) {
        picture.ask_at = Instant::now() + PAUSE;
        let mut waiting = self.waiting.lock();
        if waiting.len() < MOST {
            waiting.push_back(picture);
            self.arrived.notify_one();
        } else {
            tracing::warn!(
                image.key = picture.key,
                "too many pictures are in doubt; this one is kept"
            );
        }
    }

    /// Asks for each, until `stop`.
    pub(crate) async fn settle(
        &self,
        store: Store,
        images: ImageStore,
        stop: CancellationToken,
    ) -> Result<(), Infallible> {
        // A database of several connections may still carry out what was sent
        // over one that was lost, after another has answered that it did not.
        let enough = if store.is_shared() { 2 } else { 1 };
        loop {
            let mut picture = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                picture = self.due() => picture,
            };
            match store.names_picture(&picture.of, &picture.key).await {
                Ok(true) => {}
                Ok(false) if picture.unnamed + 1 >= enough => {
                    tracing::info!(
                        image.key = picture.key,
                        "removed a picture that nothing names"
                    );
                    images.remove(&picture.key).await;
                }
                Ok(false) => {
                    picture.unnamed += 1;
                    self.wait_again(picture);
                }
                Err(error) => {
                    tracing::debug!(%error, "whether a picture is named is asked again");
                    picture.unnamed = 0;
                    self.wait_again(picture);
                }
            }
        }
    }

    /// The next one, when it is to be asked for. Dropped while it waits, it
    /// takes none.
    async fn due(&self) -> Picture {
        loop {
            let next = self.waiting.lock().front().map(|picture| picture.ask_at);
            match next {
                None => self.arrived.notified().await,
                Some(at) if at > Instant::now() => sleep_until(at).await,
                Some(_) => {
                    if let Some(picture) = self.waiting.lock().pop_front() {
                        return picture;
                    }
                }
            }
        }
    }
}
