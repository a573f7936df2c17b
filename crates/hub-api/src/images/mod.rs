//! Photos and overlays: judged by content (`inspect`), kept under random
//! keys ([`ImageStore`]). A client's file name is used nowhere.

pub mod inspect;
mod local;

use std::{io, path::PathBuf};

use axum::body::Body;
use bytes::Bytes;

pub use inspect::{Inspected, MediaType, Rejection, inspect};
pub use local::LocalImages;

/// Why an image could not be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum ImageStoreError {
    /// The disk refused.
    #[error("the image store failed")]
    Io(#[from] io::Error),
    /// The blocking task that does the work was dropped.
    #[error("the image store was interrupted")]
    Interrupted,
}

/// An image, ready to be sent.
#[derive(Debug)]
pub struct StoredImage {
    /// Its type, as it was judged when it was stored.
    pub media_type: MediaType,
    /// Its length in bytes.
    pub length: u64,
    /// Its bytes.
    pub body: Body,
}

/// Where images are kept. Clones share it.
#[derive(Debug, Clone)]
pub enum ImageStore {
    /// A folder.
    Local(LocalImages),
}

impl ImageStore {
    /// Images in the folder `dir`, which is made where it is missing.
    ///
    /// # Errors
    /// The disk's, where the folder cannot be used.
    pub async fn local(dir: PathBuf) -> Result<Self, ImageStoreError> {
        Ok(Self::Local(LocalImages::open(dir).await?))
    }

    /// Keeps an image and returns its key. It is on the disk when this returns.
    ///
    /// # Errors
    /// [`ImageStoreError`]; nothing was kept then.
    pub async fn put(
        &self,
        image: Bytes,
        media_type: MediaType,
    ) -> Result<String, ImageStoreError> {
        let Self::Local(images) = self;
        images.put(image, media_type).await
    }

    /// The image under `key`.
    ///
    /// # Errors
    /// [`ImageStoreError`] when it is there and cannot be read.
    pub async fn open(&self, key: &str) -> Result<Option<StoredImage>, ImageStoreError> {
        let Self::Local(images) = self;
        images.read(key).await
    }

    /// Forgets the image under `key`. What fails here costs space and nothing
    /// else, so it is only logged.
    pub async fn remove(&self, key: &str) {
        let Self::Local(images) = self;
        images.remove(key).await;
    }

    /// Whether an image could be kept now.
    ///
    /// # Errors
    /// The disk's.
    pub async fn probe(&self) -> Result<(), ImageStoreError> {
        let Self::Local(images) = self;
        images.probe().await
    }
}
