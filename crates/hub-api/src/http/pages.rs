//! The pages at `/`, and the files that they consist of.
//!
//! Files whose name changes with their content are kept by browsers for ever;
//! a page is asked for each time, and not sent again while it is the same.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{
        ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
        ETAG, IF_NONE_MATCH, VARY,
    },
};
use sha2::{Digest as _, Sha256};
use web_client::Asset;

use super::{ApiError, layers, problem::Kind};
use crate::{config::Environment, hex::hex};

/// Scripts, styles and pictures come from the hub alone, and no text becomes a
/// script. `blob:` is the preview of a photo that was not sent yet.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// What the page's first element says of the ways to sign in.
const SIGN_IN_BY_TOKEN: &str = "data-sign-in=\"token\"";
const SIGN_IN_IN_DEVELOPMENT: &str = "data-sign-in=\"development\"";

/// The pages as this hub serves them.
#[derive(Debug, Clone)]
pub(super) struct Pages(Arc<HashMap<&'static str, Served>>);

#[derive(Debug)]
enum Served {
    File(Asset),
    Page { html: Bytes, tag: HeaderValue },
}

impl Pages {
    pub(super) fn new(environment: Environment) -> Self {
        let serve = |asset: Asset| match asset.path {
            "/index.html" => ("/", page(asset, environment)),
            path => match path.strip_suffix(".html") {
                Some(name) => (name, page(asset, environment)),
                None => (path, Served::File(asset)),
            },
        };
        Self(Arc::new(web_client::assets().map(serve).collect()))
    }
}

/// Where pages and their files are.
pub(super) const ROUTES: [&str; 4] = ["/", "/admin", "/try", "/assets/{file}"];

pub(super) fn routes(pages: Pages) -> Router {
    let router = ROUTES
        .into_iter()
        .fold(Router::new(), |router, path| router.route(path, get(serve)));
    router.with_state(pages)
}

async fn serve(State(Pages(pages)): State<Pages>, request: Request) -> Response {
    let headers = request.headers();
    match pages.get(request.uri().path()) {
        Some(Served::File(asset)) => file(asset, headers),
        Some(Served::Page { html, tag }) => unless_known(html, tag, headers),
        None if pages.is_empty() => no_pages().into_response(),
        None => layers::not_found().await.into_response(),
    }
}

fn page(asset: Asset, environment: Environment) -> Served {
    let html = String::from_utf8_lossy(asset.bytes);
    let html = match environment.is_development() {
        true => html.replacen(SIGN_IN_BY_TOKEN, SIGN_IN_IN_DEVELOPMENT, 1),
        false => html.into_owned(),
    };
    let digest = Sha256::digest(html.as_bytes());
    let tag = hex(&digest[..12]);
    Served::Page {
        html: html.into(),
        tag: HeaderValue::try_from(format!("\"{tag}\"")).expect("hexadecimal digits are visible"),
    }
}

fn file(asset: &Asset, headers: &HeaderMap) -> Response {
    let (encoding, bytes) = match (asset.brotli, asset.gzip) {
        (Some(bytes), _) if accepts(headers, "br") => (Some("br"), bytes),
        (_, Some(bytes)) if accepts(headers, "gzip") => (Some("gzip"), bytes),
        _ => (None, asset.bytes),
    };
    let mut response = Response::new(Body::from(bytes));
    let set = response.headers_mut();
    set.insert(CONTENT_TYPE, HeaderValue::from_static(asset.media_type));
    set.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    if let Some(encoding) = encoding {
        set.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    if asset.is_immutable() {
        let year = "public, max-age=31536000, immutable";
        set.insert(CACHE_CONTROL, HeaderValue::from_static(year));
    }
    response
}

fn unless_known(html: &Bytes, tag: &HeaderValue, headers: &HeaderMap) -> Response {
    let known = headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .any(|had| matches(had, tag));
    let mut response = Response::new(match known {
        true => Body::empty(),
        false => Body::from(html.clone()),
    });
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let set = response.headers_mut();
    set.insert(ETAG, tag.clone());
    set.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    set.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    let opener = HeaderName::from_static("cross-origin-opener-policy");
    set.insert(opener, HeaderValue::from_static("same-origin"));
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    set.insert(CONTENT_TYPE, html);
    response
}

/// Proxies that compress make a tag weak; it names the same page (RFC 9110 section 13.1.2).
fn matches(had: &HeaderValue, tag: &HeaderValue) -> bool {
    let (Ok(had), Ok(tag)) = (had.to_str(), tag.to_str()) else {
        return false;
    };
    let mut each = had.split(',').map(str::trim);
    each.any(|one| one == "*" || one.trim_start_matches("W/") == tag)
}

/// Whether a coding is named and not refused by `q=0` (RFC 9110 section 12.5.3).
fn accepts(headers: &HeaderMap, coding: &str) -> bool {
    let all = headers.get_all(ACCEPT_ENCODING).iter();
    all.filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|item| {
            let mut parts = item.split(';').map(str::trim);
            let named = parts
                .next()
                .is_some_and(|name| name.eq_ignore_ascii_case(coding));
            let weight = parts.find_map(|part| part.strip_prefix("q="));
            named && weight.is_none_or(|weight| weight.parse().is_ok_and(|q: f32| q > 0.0))
        })
}

fn no_pages() -> ApiError {
    let detail = "This hub was built without its pages: run scripts/pages.sh (it needs Node) and build it again. The API is described at /openapi.json.";
    ApiError::new(Kind::NOT_FOUND, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    const ASSET: Asset = Asset {
        path: "/index.html",
        media_type: "text/html; charset=utf-8",
        bytes: b"<html data-sign-in=\"token\">",
        brotli: None,
        gzip: Some(b"compressed"),
    };

    #[test]
    fn a_page_offers_users_in_development_only() {
        for (environment, offered) in [
            (
                Environment::Development,
                "<html data-sign-in=\"development\">",
            ),
            (Environment::Production, "<html data-sign-in=\"token\">"),
        ] {
            let Served::Page { html, .. } = page(ASSET, environment) else {
                panic!("a page is no file");
            };
            assert_eq!(html, offered);
        }
    }

    #[test]
    fn a_page_that_is_known_is_not_sent_again() {
        let Served::Page { html, tag } = page(ASSET, Environment::Production) else {
            panic!("a page is no file");
        };
        let fresh = unless_known(&html, &tag, &HeaderMap::new());
        assert_eq!(fresh.status(), StatusCode::OK);
        assert_eq!(fresh.headers()[CACHE_CONTROL], "no-cache");
        let tag_text = tag.to_str().unwrap();
        for had in [
            tag_text.to_owned(),
            format!("W/{tag_text}"),
            format!("\"x\", {tag_text}"),
        ] {
            let had = HeaderMap::from_iter([(IF_NONE_MATCH, had.parse().unwrap())]);
            assert_eq!(
                unless_known(&html, &tag, &had).status(),
                StatusCode::NOT_MODIFIED
            );
        }
        let other = headers(IF_NONE_MATCH, "\"other\"");
        assert_eq!(unless_known(&html, &tag, &other).status(), StatusCode::OK);
    }

    #[test]
    fn a_file_is_compressed_for_those_who_take_it() {
        for (accepted, encoding) in [
            ("gzip, deflate, br", Some("gzip")),
            ("br", None),
            ("gzip;q=0", None),
            ("GZIP;q=0.5", Some("gzip")),
        ] {
            let response = file(&ASSET, &headers(ACCEPT_ENCODING, accepted));
            let found = response.headers().get(CONTENT_ENCODING);
            assert_eq!(
                found.map(HeaderValue::as_bytes),
                encoding.map(str::as_bytes),
                "{accepted}"
            );
            assert_eq!(response.headers()[VARY], "Accept-Encoding");
        }
    }
}
