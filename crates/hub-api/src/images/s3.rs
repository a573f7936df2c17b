//! Images in a bucket of an S3-compatible store, so that hubs share no disk.
//! An object is there whole or not at all, and a store that hangs costs a
//! bounded wait.

use std::{
    fmt,
    future::Future,
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::body::Body;
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use object_store::{
    Attribute, Attributes, BackoffConfig, ClientOptions, ObjectStore, ObjectStoreExt as _,
    PutOptions, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder},
    path::Path,
};
use parking_lot::Mutex;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::timeout;

use super::{ImageStoreError, MediaType, StoredImage, key};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A request that writes, with its body and its repetitions. Reading has no
/// such limit: a photo is read as slowly as the phone that asked for it.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// Between two pieces of an answer.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// A request that failed is sent again within this time.
const RETRY_TIMEOUT: Duration = Duration::from_secs(15);
const RETRIES: usize = 3;
/// A probe that succeeded stands for this long: each is a paid request.
const PROBED: Duration = Duration::from_secs(60);

/// Where the bucket is, and who may use it.
#[derive(Debug, Clone)]
pub struct S3Settings {
    /// The store's address; none for AWS.
    pub endpoint: Option<String>,
    /// The bucket, which must exist.
    pub bucket: String,
    /// Its region.
    pub region: String,
    /// The key's name.
    pub access_key: String,
    /// The key.
    pub secret_key: SecretString,
    /// Before the names of all objects; empty for none.
    pub prefix: String,
}

/// A bucket of images.
#[derive(Clone)]
pub struct S3Images {
    store: Arc<AmazonS3>,
    prefix: Path,
    probed: Arc<Mutex<Option<Instant>>>,
}

impl S3Images {
    pub(super) fn new(settings: &S3Settings) -> Result<Self, ImageStoreError> {
        let client = ClientOptions::new()
            .with_connect_timeout(CONNECT_TIMEOUT)
            .with_timeout_disabled()
            .with_read_timeout(READ_TIMEOUT);
        let retry = RetryConfig {
            backoff: BackoffConfig {
                init_backoff: Duration::from_millis(100),
                max_backoff: Duration::from_secs(3),
                ..BackoffConfig::default()
            },
            max_retries: RETRIES,
            retry_timeout: RETRY_TIMEOUT,
        };
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&settings.bucket)
            .with_region(&settings.region)
            .with_access_key_id(&settings.access_key)
            .with_secret_access_key(settings.secret_key.expose_secret())
            // The connection is encrypted, or inside a private network: hashing
            // megabytes once more for the signature buys nothing.
            .with_unsigned_payload(true)
            .with_client_options(client)
            .with_retry(retry);
        if let Some(endpoint) = &settings.endpoint {
            builder = builder
                .with_endpoint(endpoint)
                .with_allow_http(endpoint.starts_with("http://"));
        }
        Ok(Self {
            store: Arc::new(builder.build()?),
            prefix: Path::parse(&settings.prefix).map_err(object_store::Error::from)?,
            probed: Arc::default(),
        })
    }

    pub(super) async fn put(
        &self,
        image: Bytes,
        media_type: MediaType,
    ) -> Result<String, ImageStoreError> {
        let key = key::new(media_type)?;
        let attributes = Attributes::from_iter([(Attribute::ContentType, media_type.as_str())]);
        let options = PutOptions::from(attributes);
        let place = self.place(&key);
        in_time(self.store.put_opts(&place, image.into(), options)).await?;
        Ok(key)
    }

    pub(super) async fn read(&self, key: &str) -> Result<Option<StoredImage>, ImageStoreError> {
        let Some(media_type) = key::read(key) else {
            return Ok(None);
        };
        let object = match self.store.get(&self.place(key)).await {
            Ok(object) => object,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let length = object.meta.size;
        let body = Body::from_stream(object.into_stream().map_err(io::Error::other));
        Ok(Some(StoredImage {
            media_type,
            length,
            body,
        }))
    }

    pub(super) async fn remove(&self, key: &str) {
        if key::read(key).is_none() {
            return;
        }
        match in_time(self.store.delete(&self.place(key))).await {
            Ok(()) | Err(ImageStoreError::S3(object_store::Error::NotFound { .. })) => {}
            Err(error) => {
                tracing::warn!(image.key = key, %error, "an image could not be removed");
            }
        }
    }

    /// Writes a small object: only that shows bucket, key and right to write.
    pub(super) async fn probe(&self) -> Result<(), ImageStoreError> {
        if self.probed.lock().is_some_and(|at| at.elapsed() < PROBED) {
            return Ok(());
        }
        let place = self.prefix.clone().join("probe");
        in_time(self.store.put(&place, Bytes::from_static(b"probe").into())).await?;
        *self.probed.lock() = Some(Instant::now());
        Ok(())
    }

    fn place(&self, key: &str) -> Path {
        self.prefix.clone().join(key::folder(key)).join(key)
    }
}

/// A write that takes too long has failed; it may have happened all the same.
async fn in_time<T>(
    write: impl Future<Output = object_store::Result<T>>,
) -> Result<T, ImageStoreError> {
    match timeout(WRITE_TIMEOUT, write).await {
        Ok(written) => Ok(written?),
        Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
    }
}

impl fmt::Debug for S3Images {
    /// Says nothing of the client, which holds the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Images")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}
