//! The pages that the hub serves, as they were built from `page/` into `dist/`.
//!
//! Owns the files and what each is. It serves nothing and knows no HTTP: that
//! is the hub's. Built without them (no Node, no network) it is empty, and the
//! hub says so instead.

/// A file of the pages.
#[derive(Debug, Clone, Copy)]
pub struct Asset {
    /// Where it is served, e.g. `/assets/page-4F2A.js`.
    pub path: &'static str,
    /// Its media type.
    pub media_type: &'static str,
    /// The file.
    pub bytes: &'static [u8],
    /// The file compressed with Brotli (RFC 7932), where that is smaller.
    pub brotli: Option<&'static [u8]>,
    /// The file compressed with gzip (RFC 1952), where that is smaller.
    pub gzip: Option<&'static [u8]>,
}

impl Asset {
    /// Whether the name changes with the content, so that it may be kept for ever.
    #[must_use]
    pub fn is_immutable(&self) -> bool {
        self.path.starts_with("/assets/")
    }
}

struct File {
    path: &'static str,
    bytes: &'static [u8],
}

static FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// Everything that there is; empty where the pages were not built.
pub fn assets() -> impl Iterator<Item = Asset> {
    FILES.iter().filter_map(|file| {
        Some(Asset {
            path: file.path,
            media_type: media_type(file.path)?,
            bytes: file.bytes,
            brotli: bytes(&format!("{}.br", file.path)),
            gzip: bytes(&format!("{}.gz", file.path)),
        })
    })
}

/// The file that is served at `path`.
#[must_use]
pub fn asset(path: &str) -> Option<Asset> {
    assets().find(|asset| asset.path == path)
}

fn bytes(path: &str) -> Option<&'static [u8]> {
    let file = FILES.iter().find(|file| file.path == path)?;
    Some(file.bytes)
}

/// None for what is not served by itself, such as compressed copies.
fn media_type(path: &str) -> Option<&'static str> {
    let (_, extension) = path.rsplit_once('.')?;
    Some(match extension {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "webmanifest" => "application/manifest+json",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether or not this build has pages, it has either all of them or none.
    #[test]
    fn pages_refer_to_files_that_are_there() {
        for page in assets().filter(|asset| asset.path.ends_with(".html")) {
            let html = std::str::from_utf8(page.bytes).expect("a page is text");
            let named: Vec<_> = html
                .split('"')
                .filter(|text| text.starts_with("/assets/"))
                .collect();
            assert!(
                !named.is_empty(),
                "{} has neither script nor style",
                page.path
            );
            for path in named {
                let asset = asset(path).unwrap_or_else(|| panic!("{path} is missing"));
                assert!(asset.is_immutable());
            }
        }
    }

    #[test]
    fn compressed_copies_are_not_served_by_themselves() {
        assert!(media_type("/assets/a.js.br").is_none());
        assert!(assets().all(|asset| !asset.path.ends_with(".gz")));
    }
}
