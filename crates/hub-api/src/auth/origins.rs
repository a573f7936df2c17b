//! Which pages may call: by CORS for what a browser fetches, and by the Origin
//! header for WebSockets, which CORS does not cover (RFC 6455 section 10.2).

use std::collections::HashSet;

use http::{
    HeaderMap, HeaderValue,
    header::{HOST, ORIGIN},
};
use reqwest::Url;

use crate::config::Config;

/// The origins of pages that may call.
#[derive(Debug, Clone, Default)]
pub struct Origins {
    listed: HashSet<String>,
    /// Development servers of a developer's machine, on whatever port.
    localhost: bool,
}

impl Origins {
    /// Those of the configuration; in Development pages of this machine as well.
    #[must_use]
    pub fn from_config(config: &Config) -> Self {
        Self {
            listed: config.cors.allowed_origins.iter().cloned().collect(),
            localhost: config.environment.is_development(),
        }
    }

    /// Whether pages of `origin` may call. Compared exactly, as browsers write it.
    #[must_use]
    pub fn allows(&self, origin: &HeaderValue) -> bool {
        let Ok(origin) = origin.to_str() else {
            return false;
        };
        self.listed.contains(origin) || (self.localhost && is_localhost(origin))
    }

    /// Whether a WebSocket may be opened with these headers: by what is no
    /// browser and sends no Origin, by a page of this host, or by one that is
    /// allowed. `null` is the origin of pages that have none, and never allowed.
    #[must_use]
    pub fn allow_upgrade(&self, headers: &HeaderMap) -> bool {
        let mut all = headers.get_all(ORIGIN).iter();
        match (all.next(), all.next()) {
            (None, _) => true,
            (Some(origin), None) => self.allows(origin) || is_own(origin, headers),
            (Some(_), Some(_)) => false,
        }
    }
}

fn is_localhost(origin: &str) -> bool {
    Url::parse(origin).is_ok_and(|url| {
        url.scheme() == "http"
            && matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"))
    })
}

/// Whether `origin` is the host that was called. A proxy may have taken TLS
/// off, so that the scheme is not compared.
fn is_own(origin: &HeaderValue, headers: &HeaderMap) -> bool {
    let parts = |text: &str| {
        let url = Url::parse(text).ok()?;
        Some((url.host_str()?.to_owned(), url.port_or_known_default()))
    };
    let Some(origin) = origin.to_str().ok() else {
        return false;
    };
    let Some(host) = headers.get(HOST).and_then(|host| host.to_str().ok()) else {
        return false;
    };
    let Some((scheme, _)) = origin.split_once("://") else {
        return false;
    };
    matches!(scheme, "http" | "https")
        && parts(origin).is_some_and(|own| parts(&format!("{scheme}://{host}")) == Some(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins(listed: &[&str], localhost: bool) -> Origins {
        Origins {
            listed: listed.iter().map(|text| (*text).to_owned()).collect(),
            localhost,
        }
    }

    fn upgrade(origins: &Origins, host: &str, origin: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        for each in origin {
            headers.append(ORIGIN, each.parse().unwrap());
        }
        origins.allow_upgrade(&headers)
    }

    #[test]
    fn origins_are_compared_exactly() {
        let listed = [
            "https://app.example.com",
            "capacitor://localhost",
            "ionic://localhost",
            "http://localhost",
        ];
        let origins = origins(&listed, false);
        for good in listed {
            assert!(origins.allows(&good.parse().unwrap()), "{good}");
        }
        for bad in [
            "https://app.example.com.evil.example",
            "https://evil.example/https://app.example.com",
            "http://app.example.com",
            "https://app.example.com:8443",
            "https://app.example.com/",
            "https://APP.example.com",
            "http://localhost:3000",
            "null",
            "*",
            "",
        ] {
            assert!(!origins.allows(&bad.parse().unwrap()), "{bad}");
        }
    }

    #[test]
    fn a_developers_pages_may_call_in_development_only() {
        for origin in ["http://localhost:5173", "http://127.0.0.1:3000"] {
            let origin = origin.parse().unwrap();
            assert!(origins(&[], true).allows(&origin));
            assert!(!origins(&[], false).allows(&origin));
        }
        for origin in ["http://localhost.evil.example", "https://example.com"] {
            assert!(!origins(&[], true).allows(&origin.parse().unwrap()));
        }
    }

    #[test]
    fn upgrades_come_from_listed_pages_own_pages_and_no_browsers() {
        let origins = origins(&["https://app.example.com"], false);
        let host = "hub.example.com";
        assert!(upgrade(&origins, host, &[]));
        assert!(upgrade(&origins, host, &["https://app.example.com"]));
        assert!(upgrade(&origins, host, &["https://hub.example.com"]));
        assert!(upgrade(&origins, "hub:8080", &["http://hub:8080"]));
        for bad in [
            &["https://evil.example"][..],
            &["null"],
            &[""],
            &["https://hub.example.com:444"],
            &["file://hub.example.com"],
            &["https://app.example.com", "https://evil.example"],
        ] {
            assert!(!upgrade(&origins, host, bad), "{bad:?}");
        }
    }
}
