//! The keys of images: random, so that nobody guesses one, and of one shape,
//! so that no other text ever becomes a path.

use std::io;

use super::MediaType;

const NAME_BYTES: usize = 16;

/// A random name: 32 hexadecimal digits.
///
/// # Errors
/// The system's, where it has no random bytes.
pub(super) fn random_name() -> io::Result<String> {
    let mut random = [0; NAME_BYTES];
    getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(format!("{:032x}", u128::from_be_bytes(random)))
}

/// A new key for an image of that type.
///
/// # Errors
/// As [`random_name`].
pub(super) fn new(media_type: MediaType) -> io::Result<String> {
    Ok(format!("{}.{}", random_name()?, media_type.extension()))
}

/// The folder of a key that [`read`] accepts: its first two digits, so that no
/// folder grows too large.
pub(super) fn folder(key: &str) -> &str {
    &key[..2]
}

/// The type that a key names; `None` for what [`new`] cannot have made, which
/// could point outside the store.
pub(super) fn read(key: &str) -> Option<MediaType> {
    let (name, extension) = key.split_once('.')?;
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let good = name.len() == 2 * NAME_BYTES && name.bytes().all(hex);
    MediaType::of_extension(extension).filter(|_| good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_keys_are_read() {
        let key = new(MediaType::Webp).unwrap();
        assert_eq!(read(&key), Some(MediaType::Webp));
        assert_eq!(folder(&key).len(), 2);
        for other in [
            "",
            ".png",
            "../secret.png",
            "secret.png",
            "00000000000000000000000000000000",
            "00000000000000000000000000000000.exe",
            "0000000000000000000000000000000G.png",
            "00000000000000000000000000000000/../x.png",
            "é0000000000000000000000000000000.png",
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
