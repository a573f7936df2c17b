//! Images in a folder: written beside, synced, renamed into place, so that a
//! key that anyone knows always names a whole image.

use std::{
    collections::HashSet,
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::body::Body;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::task::spawn_blocking;
use tokio_util::io::ReaderStream;

use super::{ImageStoreError, MediaType, StoredImage, key};

const READ_BUFFER: usize = 64 * 1024;

/// A folder of images.
#[derive(Debug, Clone)]
pub struct LocalImages {
    dir: Arc<Path>,
    /// Folders of which the name is on the disk.
    named: Arc<Mutex<HashSet<PathBuf>>>,
}

impl LocalImages {
    pub(super) async fn open(dir: PathBuf) -> Result<Self, ImageStoreError> {
        blocking(move || {
            create_folder(&dir)?;
            Ok(Self {
                dir: dir.into(),
                named: Arc::default(),
            })
        })
        .await
    }

    pub(super) async fn put(
        &self,
        image: Bytes,
        media_type: MediaType,
    ) -> Result<String, ImageStoreError> {
        let images = self.clone();
        blocking(move || images.write(&image, media_type)).await
    }

    pub(super) async fn read(&self, key: &str) -> Result<Option<StoredImage>, ImageStoreError> {
        let Some((path, media_type)) = self.path_of(key) else {
            return Ok(None);
        };
        let file = match tokio::fs::File::open(path).await {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let length = file.metadata().await?.len();
        let body = Body::from_stream(ReaderStream::with_capacity(file, READ_BUFFER));
        Ok(Some(StoredImage {
            media_type,
            length,
            body,
        }))
    }

    pub(super) async fn remove(&self, key: &str) {
        let Some((path, _)) = self.path_of(key) else {
            return;
        };
        match tokio::fs::remove_file(path).await {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(image.key = key, %error, "an image could not be removed");
            }
        }
    }

    pub(super) async fn probe(&self) -> Result<(), ImageStoreError> {
        let dir = Arc::clone(&self.dir);
        blocking(move || {
            let path = dir.join(format!("{}.probe", key::random_name()?));
            let written = fs::write(&path, b"probe");
            // On a full disk it is there, and empty.
            let removed = fs::remove_file(&path);
            written.and(removed)
        })
        .await
    }

    fn path_of(&self, key: &str) -> Option<(PathBuf, MediaType)> {
        let media_type = key::read(key)?;
        Some((self.dir.join(key::folder(key)).join(key), media_type))
    }
}

impl LocalImages {
    fn write(&self, image: &[u8], media_type: MediaType) -> io::Result<String> {
        let key = key::new(media_type)?;
        let folder = self.dir.join(key::folder(&key));
        self.keep_folder(&folder)?;
        let (beside, place) = (folder.join(format!("{key}.tmp")), folder.join(&key));
        let written = fs::File::create_new(&beside).and_then(|mut file| {
            file.write_all(image)?;
            file.sync_all()?;
            fs::rename(&beside, &place)?;
            // The name is durable only when the folder is.
            sync_folder(&folder)
        });
        if let Err(error) = written {
            // One of the two is there. Nobody is told of it, so nothing names it.
            let _ = (fs::remove_file(&beside), fs::remove_file(&place));
            return Err(error);
        }
        Ok(key)
    }

    /// Makes `folder` where it is missing. Its own name is synced once in the
    /// life of a process, whoever made it: another upload may have just done so.
    fn keep_folder(&self, folder: &Path) -> io::Result<()> {
        if self.named.lock().contains(folder) && folder.is_dir() {
            return Ok(());
        }
        create_folder(folder)?;
        sync_folder(&self.dir)?;
        self.named.lock().insert(folder.to_owned());
        Ok(())
    }
}

/// Makes a folder, and those above it that are missing, and their names durable.
fn create_folder(folder: &Path) -> io::Result<()> {
    let missing = folder.ancestors().take_while(|each| !each.exists());
    let made: Vec<&Path> = missing.collect();
    fs::create_dir_all(folder)?;
    for above in made.into_iter().filter_map(Path::parent) {
        let here = above.as_os_str().is_empty();
        sync_folder(if here { Path::new(".") } else { above })?;
    }
    Ok(())
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, ImageStoreError> {
    match spawn_blocking(work).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(ImageStoreError::Interrupted),
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn what_was_put_is_read_until_it_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let images = LocalImages::open(dir.path().join("a/b")).await.unwrap();
        let key = images
            .put(Bytes::from_static(b"photo"), MediaType::Png)
            .await
            .unwrap();
        let image = images.read(&key).await.unwrap().unwrap();
        assert_eq!((image.media_type, image.length), (MediaType::Png, 5));
        assert_eq!(
            image.body.collect().await.unwrap().to_bytes().as_ref(),
            b"photo"
        );
        images.probe().await.unwrap();
        images.remove(&key).await;
        assert!(images.read(&key).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn folders_that_were_taken_away_are_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let images = LocalImages::open(dir.path().join("images")).await.unwrap();
        for _ in 0..20 {
            let photo = Bytes::from_static(b"photo");
            let key = images.put(photo, MediaType::Png).await.unwrap();
            assert!(images.read(&key).await.unwrap().is_some());
            fs::remove_dir_all(dir.path().join("images")).unwrap();
        }
    }

    #[tokio::test]
    async fn only_own_keys_are_opened() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("secret.png"), b"x").unwrap();
        let images = LocalImages::open(dir.path().join("images")).await.unwrap();
        for key in ["../secret.png", "secret.png"] {
            assert!(images.read(key).await.unwrap().is_none(), "{key}");
        }
    }
}
