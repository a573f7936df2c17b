//! Secrets of a developer's machine: made once, kept under `DATA_DIR/secrets`
//! with access for the owner only, one file a secret, so that the worker can
//! be pointed to the same file. Never used outside Development.

use std::{
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::SecretString;
use settings::Layers;

use super::{Config, ConfigError};

/// Fills the secrets that nobody gave. One that was given and could not be
/// read is not made up instead.
pub(super) fn fill(layers: &mut Layers<Config>) -> Result<(), ConfigError> {
    let dir = layers.config.data_dir.join("secrets");
    let jwt = &layers.config.jwt;
    let others = jwt.public_key.is_some() || jwt.jwks_url.is_some();
    if jwt.secret.is_none() && !others && layers.is_sound("jwt.secret") {
        layers.config.jwt.secret = Some(read_or_make(&dir, "jwt")?);
        layers.note_filled("jwt.secret", made_in(&dir, "jwt"));
    }
    if layers.config.internal.secret.is_none() && layers.is_sound("internal.secret") {
        layers.config.internal.secret = Some(read_or_make(&dir, "internal")?);
        layers.note_filled("internal.secret", made_in(&dir, "internal"));
    }
    Ok(())
}

fn made_in(dir: &Path, name: &str) -> String {
    format!("made for development, in {}", dir.join(name).display())
}

fn read_or_make(dir: &Path, name: &str) -> Result<SecretString, ConfigError> {
    let path = dir.join(name);
    let failed = |path: PathBuf| move |source| ConfigError::DevelopmentSecret { path, source };
    match read(&path).map_err(failed(path.clone()))? {
        Some(secret) => Ok(secret),
        None => make(dir, &path).map_err(failed(path)),
    }
}

fn read(path: &Path) -> io::Result<Option<SecretString>> {
    match fs::read_to_string(path) {
        Ok(text) if text.trim().is_empty() => Ok(None),
        Ok(text) => Ok(Some(text.trim().to_owned().into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Written beside and linked into place, so that two processes that start at
/// once end up with the same secret.
fn make(dir: &Path, path: &Path) -> io::Result<SecretString> {
    fs::create_dir_all(dir)?;
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
    let text = URL_SAFE_NO_PAD.encode(random);
    let own = path.with_extension(format!("{}.tmp", std::process::id()));
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&own)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    let linked = fs::hard_link(&own, path);
    fs::remove_file(&own)?;
    match linked {
        Ok(()) => Ok(text.into()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => match read(path)? {
            Some(secret) => Ok(secret),
            None => Err(io::Error::other("the file is empty; remove it")),
        },
        Err(error) => Err(error),
    }
}
