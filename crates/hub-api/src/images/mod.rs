//! Photos and overlays: judged by content (`inspect`), kept under random
//! keys ([`ImageStore`]). A client's file name is used nowhere.

pub mod inspect;
mod key;
mod local;
mod s3;
mod in_doubt;

use std::{io, path::PathBuf};

use axum::body::Body;
use bytes::Bytes;

pub(crate) use in_doubt::InDoubt;
pub use inspect::{Inspected, MediaType, Rejection, inspect};
pub use local::LocalImages;
pub use s3::{S3Images, S3Settings};

/// Why an image could not be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum ImageStoreError {
    /// The disk refused.
    #[error("the image store failed")]
    Io(#[from] io::Error),
    /// The S3 store refused, or cannot be reached.
    #[error("the S3 image store failed")]
    S3(#[from] object_store::Error),
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
    /// A bucket of an S3-compatible store, which several hubs share.
    S3(S3Images),
}

impl ImageStore {
    /// Images in the folder `dir`, which is made where it is missing.
    ///
    /// # Errors
    /// The disk's, where the folder cannot be used.
    pub async fn local(dir: PathBuf) -> Result<Self, ImageStoreError> {
        Ok(Self::Local(LocalImages::open(dir).await?))
    }

    /// Images in a bucket. It need not be reachable yet: [`probe`](Self::probe) tells.
    ///
    /// # Errors
    /// [`ImageStoreError`] where the settings make no sense.
    pub fn s3(settings: &S3Settings) -> Result<Self, ImageStoreError> {
        Ok(Self::S3(S3Images::new(settings)?))
    }

    /// Keeps an image and returns its key. It is durable when this returns.
    ///
    /// # Errors
    /// [`ImageStoreError`]; nothing was kept then.
    pub async fn put(
        &self,
        image: Bytes,
        media_type: MediaType,
    ) -> Result<String, ImageStoreError> {
        match self {
            Self::Local(images) => images.put(image, media_type).await,
            Self::S3(images) => images.put(image, media_type).await,
        }
    }

    /// The image under `key`.
    ///
    /// # Errors
    /// [`ImageStoreError`] when it is there and cannot be read.
    pub async fn open(&self, key: &str) -> Result<Option<StoredImage>, ImageStoreError> {
        match self {
            Self::Local(images) => images.read(key).await,
            Self::S3(images) => images.read(key).await,
        }
    }

    /// Forgets the image under `key`. What fails here costs space and nothing
    /// else, so it is only logged.
    pub async fn remove(&self, key: &str) {
        match self {
            Self::Local(images) => images.remove(key).await,
            Self::S3(images) => images.remove(key).await,
        }
    }

    /// Whether an image could be kept now.
    ///
    /// # Errors
    /// The store's.
    pub async fn probe(&self) -> Result<(), ImageStoreError> {
        match self {
            Self::Local(images) => images.probe().await,
            Self::S3(images) => images.probe().await,
        }
    }
}
