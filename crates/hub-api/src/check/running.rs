//! A running hub, as its clients, its workers and strangers see it.

use checklist::{Item, Web, expect};
use http::{HeaderMap, Method};
use secrecy::{ExposeSecret as _, SecretString};
use shared_dto::{UserId, notify::INTERNAL_SECRET_HEADER};
use time::OffsetDateTime;

use super::{
    CHECK_USER, Target,
    notification::Way,
    socket::{Socket, SocketError},
};
use crate::{
    auth::{self, unverified_user},
    config::{Config, Confirm},
    hub::plant_analysis,
};

/// No page has it, as the name can belong to nobody (RFC 2606).
const FOREIGN: &str = "https://tendril-check.invalid";

/// A longer token in an address is more than many proxies let through.
const LONGEST_TOKEN: usize = 7 * 1024;

pub(super) async fn items(url: &str, target: &Target, config: Option<&Config>) -> Vec<Item> {
    let public = match Web::new(url) {
        Ok(web) => web,
        Err(error) => return vec![Item::fail("hub", error.to_string(), "correct --url")],
    };
    let (reachable, headers) = public.reachable("hub", "/health/live").await;
    let mut items = vec![reachable];
    let Some(headers) = headers else { return items };
    items.push(encryption(&public, &headers));
    items.push(checklist::clock(&headers, OffsetDateTime::now_utc()));
    items.push(security_headers(&headers));
    items.push(public.health("/health").await);
    items.push(anonymous(&public).await);
    items.push(foreign_page(&public).await);
    let Some(config) = config else { return items };
    for origin in &config.cors.allowed_origins {
        items.push(page(&public, origin).await);
    }
    let internal = match internal(&public, target, config) {
        Ok(web) => web,
        Err(item) => {
            items.push(item);
            return items;
        }
    };
    items.push(stranger(&internal).await);
    if let Some(secret) = &config.internal.secret {
        items.extend(with_secrets(&public, &internal, secret, target, config).await);
    }
    items
}

/// What shows the internal secret or a token to whoever can listen on the way
/// is not tried there.
async fn with_secrets(
    public: &Web,
    internal: &Web,
    secret: &SecretString,
    target: &Target,
    config: &Config,
) -> Vec<Item> {
    let readable = |web: &Web| format!("not tried: {} is not encrypted", web.origin());
    if !internal.is_private() {
        let advice = "give --internal-url an https address, or one of the private network: \
                      the secret could be read on its way";
        return vec![Item::fail("internal link", readable(internal), advice)];
    }
    let mut items = vec![same_secret(internal, secret).await];
    if public.is_private() {
        items.extend(way(public, internal, secret, target, config).await);
    } else {
        let advice = "give --url an https address: a token could be read on its way; \
                      Ping and notification were not tried";
        items.push(Item::warn("token", readable(public), advice));
    }
    items
}

fn internal(public: &Web, target: &Target, config: &Config) -> Result<Web, Item> {
    match (&target.internal_url, config.server.internal_port) {
        (Some(url), _) => Web::new(url).map_err(|error| {
            Item::fail("internal link", error.to_string(), "correct --internal-url")
        }),
        (None, Some(port)) if port != 0 => Ok(public.on_port(port)),
        (None, _) => Ok(public.clone()),
    }
}

fn encryption(web: &Web, headers: &HeaderMap) -> Item {
    const NAME: &str = "encryption";
    if !web.is_private() {
        let advice = "serve it by https: tokens can be read on their way";
        return Item::fail(NAME, format!("{} is not encrypted", web.origin()), advice);
    }
    if web.origin().starts_with("https:") && !headers.contains_key("strict-transport-security") {
        let advice = "set WebAPI__BaseUrl to the https address, so that browsers keep to it";
        return Item::warn(NAME, "https, without Strict-Transport-Security", advice);
    }
    Item::pass(NAME, web.origin())
}

fn security_headers(headers: &HeaderMap) -> Item {
    const NAME: &str = "security headers";
    let wanted = [
        "x-content-type-options",
        "referrer-policy",
        "content-security-policy",
    ];
    let missing: Vec<&str> = wanted
        .into_iter()
        .filter(|name| !headers.contains_key(*name))
        .collect();
    if missing.is_empty() {
        Item::pass(NAME, "present")
    } else {
        let found = format!("missing: {}", missing.join(", "));
        Item::warn(NAME, found, "a proxy takes them away; let it pass them")
    }
}

/// Who brings no token is not let in.
async fn anonymous(web: &Web) -> Item {
    let path = format!("{}/negotiate?negotiateVersion=1", plant_analysis::PATH);
    let advice = "the hub must not be open: is this a Tendril hub, and does a proxy add a token?";
    match web.request(Method::POST, &path).send().await {
        Ok(answer) => {
            let found = "connecting without a token";
            // 429 says the same to a source that has tried too often.
            expect("anonymous", answer.status(), &[401, 429], found, advice)
        }
        Err(error) => Item::fail("anonymous", checklist::cause(error), advice),
    }
}

/// A page of another origin is neither answered by CORS nor let open a WebSocket.
async fn foreign_page(web: &Web) -> Item {
    const NAME: &str = "foreign pages";
    let advice = "a proxy adds CORS headers or takes Origin away; let it pass both";
    match allowed_origin(web, FOREIGN).await {
        Ok(None) => {}
        Ok(Some(allowed)) => {
            return Item::fail(NAME, format!("CORS allows {allowed} to {FOREIGN}"), advice);
        }
        Err(error) => return Item::fail(NAME, error, advice),
    }
    match Socket::open(web, plant_analysis::PATH, "none", Some(FOREIGN)).await {
        Err(SocketError::Refused(status)) => expect(
            NAME,
            status,
            &[403, 429],
            "a foreign page's WebSocket",
            advice,
        ),
        Err(error) => Item::fail(NAME, error.to_string(), advice),
        Ok(_) => Item::fail(NAME, "a foreign page's WebSocket was opened", advice),
    }
}

/// The hub lets pages of `origin` call, with credentials.
async fn page(web: &Web, origin: &str) -> Item {
    let name = format!("origin {origin}");
    let advice = "give the running hub this Cors__AllowedOrigins, and let proxies pass OPTIONS";
    match allowed_origin(web, origin).await {
        Ok(Some(allowed)) if allowed == origin => Item::pass(name, "allowed, with credentials"),
        Ok(Some(allowed)) => Item::fail(name, format!("CORS allows {allowed} instead"), advice),
        Ok(None) => Item::fail(name, "CORS does not allow it", advice),
        Err(error) => Item::fail(name, error, advice),
    }
}

/// What a preflight of `origin` is allowed, where that is with credentials.
async fn allowed_origin(web: &Web, origin: &str) -> Result<Option<String>, String> {
    let path = format!("{}/negotiate", plant_analysis::PATH);
    let answer = web
        .request(Method::OPTIONS, &path)
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization")
        .send()
        .await
        .map_err(checklist::cause)?;
    let header = |name: &str| {
        let value = answer.headers().get(name)?;
        Some(value.to_str().ok()?.to_owned())
    };
    let with = header("access-control-allow-credentials").as_deref() == Some("true");
    Ok(header("access-control-allow-origin").filter(|_| with))
}

/// Who does not know the secret is not let in.
async fn stranger(internal: &Web) -> Item {
    let advice = "internal routes must not be open; is this a Tendril hub?";
    match internal.request(Method::GET, "/internal/ping").send().await {
        Ok(answer) => {
            let found = "an internal call without the secret";
            expect(
                "internal guard",
                answer.status(),
                &[401, 403, 429],
                found,
                advice,
            )
        }
        Err(error) => Item::fail("internal guard", checklist::cause(error), advice),
    }
}

/// The running hub has the secret that is configured here.
async fn same_secret(internal: &Web, secret: &SecretString) -> Item {
    const NAME: &str = "internal link";
    let ping = internal
        .request(Method::GET, "/internal/ping")
        .header(INTERNAL_SECRET_HEADER, secret.expose_secret());
    match ping.send().await {
        Ok(answer) => match answer.status().as_u16() {
            204 => Item::pass(NAME, "the running hub has the same secret"),
            401 => Item::fail(
                NAME,
                "the running hub has another secret",
                "give both sides the same ZIRAAI_INTERNAL_SECRET",
            ),
            403 => Item::fail(
                NAME,
                "this address may not make internal calls",
                "run the check from a network of Security__AllowedInternalIPs, or give --internal-url",
            ),
            404 => Item::fail(
                NAME,
                "the internal routes are not there",
                "give --internal-url with the port of INTERNAL_PORT",
            ),
            status => Item::fail(NAME, format!("answered {status}"), "look at the hub's log"),
        },
        Err(error) => Item::fail(NAME, checklist::cause(error), "check --internal-url"),
    }
}

/// What a user with a token sees.
async fn way(
    public: &Web,
    internal: &Web,
    secret: &SecretString,
    target: &Target,
    config: &Config,
) -> Vec<Item> {
    const NAME: &str = "token";
    let no_token = |found: String| {
        let advice =
            "give --token, or Jwt__Secret to make one from; Ping and notification were not tried";
        vec![Item::warn(NAME, found, advice)]
    };
    let (token, user) = match &target.token {
        Some(token) => match unverified_user(token) {
            Some(user) => (token.clone(), user),
            None => return no_token("the given token names no user".to_owned()),
        },
        None => {
            let user = UserId::new(CHECK_USER).expect("it is a user id");
            match auth::sign_for_check(config, &user) {
                Ok(token) => (token, user),
                Err(error) => return no_token(error.to_string()),
            }
        }
    };
    let way = Way {
        public,
        internal,
        secret,
        token: &token,
        user: &user,
        own: target.token.is_none(),
    };
    let mut items = vec![way.ping().await, way.notification().await];
    if token.len() > LONGEST_TOKEN {
        let found = format!("{} bytes", token.len());
        let advice = "many proxies refuse an address that long; put less into tokens";
        items.push(Item::warn("token length", found, advice));
    }
    if config.receipts.confirm == Confirm::Pong {
        items.push(way.forged_receipts().await);
    }
    items
}
