//! Signed addresses: pictures that open without a header, and the callbacks
//! that outside analysers are given.
//!
//! A signature is HMAC-SHA256 over what the link is for and when it ends,
//! with a key that is derived from the internal secret. A link that was not
//! made here, or was changed, opens nothing.

use std::{borrow::Cow, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use crate::store::UnixMillis;

const DAY_SECONDS: i64 = 86_400;

/// The member of a notification that holds a picture, and how its path starts
/// in the log. An unescaped quote stands only around a member's name or value,
/// so the text can stand nowhere else in a JSON text.
const PICTURE_MEMBER: &str = "\"imageUrl\":\"/api/v1/plantanalyses/";
const MEMBER_NAME_LENGTH: usize = "\"imageUrl\":\"".len();

/// What the key of the links is derived for.
const PURPOSE: &str = "tendril signed links 1";

/// Which of an attempt's two callbacks a link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Callback {
    /// Tells progress.
    Progress,
    /// Posts the answer.
    Result,
}

impl Callback {
    fn as_str(self) -> &'static str {
        match self {
            Self::Progress => "progress",
            Self::Result => "result",
        }
    }
}

/// Makes and checks signed addresses. Clones share the keys.
#[derive(Clone)]
pub struct Links {
    base: Arc<str>,
    /// The key that signs, and those that open as well.
    keys: Arc<[Key]>,
    lifetime: Duration,
}

type Key = [u8; 32];

/// The key stays out of every log.
impl std::fmt::Debug for Links {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Links")
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

impl Links {
    /// Links below `base` (no slash at its end) that open for at least `lifetime`.
    #[must_use]
    pub fn new(base: &str, secret: &SecretString, lifetime: Duration) -> Self {
        Self {
            base: base.into(),
            keys: Arc::new([derive_key(secret, PURPOSE)]),
            lifetime,
        }
    }

    /// Opens links that were made with a secret that is being replaced, too.
    #[must_use]
    pub fn accepting(mut self, previous: Option<&SecretString>) -> Self {
        let previous = previous.map(|secret| derive_key(secret, PURPOSE));
        self.keys = self.keys.iter().copied().chain(previous).collect();
        self
    }

    /// The absolute, signed address of the picture at `path`. All links that
    /// are made in one day are the same, so that clients can keep the picture.
    #[must_use]
    pub fn picture(&self, path: &str, now: UnixMillis) -> String {
        let day = now.0.div_euclid(1_000).div_euclid(DAY_SECONDS);
        let lifetime = i64::try_from(self.lifetime.as_secs()).unwrap_or(i64::MAX / 2);
        let expires = ((day + 1) * DAY_SECONDS).saturating_add(lifetime);
        let signature = self.sign(&picture_text(path, expires));
        format!(
            "{}{path}?expires={expires}&signature={signature}",
            self.base
        )
    }

    /// Whether `expires` and `signature` open the picture at `path`.
    #[must_use]
    pub fn opens_picture(
        &self,
        path: &str,
        expires: i64,
        signature: &str,
        now: UnixMillis,
    ) -> bool {
        self.matches(&picture_text(path, expires), signature) && now.0.div_euclid(1_000) < expires
    }

    /// A notification's payload as it is sent: its picture's path, which the
    /// log keeps, becomes a signed address.
    #[must_use]
    pub fn sign_payload<'a>(&self, payload: &'a str, now: UnixMillis) -> Cow<'a, str> {
        let Some(member) = payload.find(PICTURE_MEMBER) else {
            return Cow::Borrowed(payload);
        };
        let start = member + MEMBER_NAME_LENGTH;
        let Some(end) = payload[start..].find('"').map(|length| start + length) else {
            return Cow::Borrowed(payload);
        };
        let path = &payload[start..end];
        if !is_picture_path(path) {
            return Cow::Borrowed(payload);
        }
        let link = self.picture(path, now);
        Cow::Owned([&payload[..start], &link, &payload[end..]].concat())
    }

    /// The absolute, signed address of one callback of one attempt.
    #[must_use]
    pub fn callback(&self, kind: Callback, job: i64, attempt: u32, expires: UnixMillis) -> String {
        let expires = expires.0.div_euclid(1_000);
        let signature = self.sign(&callback_text(kind, job, attempt, expires));
        let (base, kind) = (&self.base, kind.as_str());
        format!(
            "{base}/callbacks/jobs/{job}/{kind}?attempt={attempt}&exp={expires}&sig={signature}"
        )
    }

    /// Whether the parameters of a callback are those of a link that was made here.
    #[must_use]
    pub fn opens_callback(
        &self,
        (kind, job, attempt): (Callback, i64, u32),
        expires: i64,
        signature: &str,
        now: UnixMillis,
    ) -> bool {
        self.matches(&callback_text(kind, job, attempt, expires), signature)
            && now.0.div_euclid(1_000) < expires
    }

    fn sign(&self, text: &str) -> String {
        URL_SAFE_NO_PAD.encode(mac(&self.keys[0], text.as_bytes()))
    }

    fn matches(&self, text: &str, signature: &str) -> bool {
        let Ok(given) = URL_SAFE_NO_PAD.decode(signature) else {
            return false;
        };
        self.keys.iter().any(|key| {
            let expected = mac(key, text.as_bytes());
            bool::from(given.as_slice().ct_eq(&expected))
        })
    }
}

/// Whether `path` is that of a picture of an analysis, and nothing more.
fn is_picture_path(path: &str) -> bool {
    path.strip_prefix("/api/v1/plantanalyses/")
        .is_some_and(|rest| {
            rest.split_once('/').is_some_and(|(id, name)| {
                !id.is_empty()
                    && id.bytes().all(|byte| byte.is_ascii_digit())
                    && matches!(name, "image" | "overlay")
            })
        })
}

fn picture_text(path: &str, expires: i64) -> String {
    format!("picture\n{path}\n{expires}")
}

fn callback_text(kind: Callback, job: i64, attempt: u32, expires: i64) -> String {
    format!("callback\n{}\n{job}\n{attempt}\n{expires}", kind.as_str())
}

/// A key of its own for each purpose, from one secret.
#[must_use]
pub fn derive_key(secret: &SecretString, purpose: &str) -> [u8; 32] {
    mac(secret.expose_secret().as_bytes(), purpose.as_bytes())
}

fn mac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(text);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = DAY_SECONDS * 1_000;
    const PATH: &str = "/api/v1/plantanalyses/7/image";

    fn links() -> Links {
        Links::new(
            "https://hub.example",
            &"secret".into(),
            Duration::from_secs(7 * 86_400),
        )
    }

    fn parts(link: &str) -> (i64, String) {
        let url = reqwest::Url::parse(link).unwrap();
        let of = |name| {
            url.query_pairs()
                .find(|(n, _)| n == name)
                .unwrap()
                .1
                .into_owned()
        };
        (of("expires").parse().unwrap(), of("signature"))
    }

    #[test]
    fn a_picture_opens_for_its_lifetime_and_no_other_picture_does() {
        let now = UnixMillis(20_000 * DAY + 5_000);
        let link = links().picture(PATH, now);
        assert!(link.starts_with("https://hub.example/api/v1/plantanalyses/7/image?"));
        let (expires, signature) = parts(&link);
        let opens = |path, expires, signature: &str, at| {
            links().opens_picture(path, expires, signature, UnixMillis(at))
        };
        assert!(opens(PATH, expires, &signature, now.0));
        assert!(opens(PATH, expires, &signature, now.0 + 7 * DAY));
        assert!(!opens(PATH, expires, &signature, now.0 + 9 * DAY));
        assert!(!opens(
            "/api/v1/plantanalyses/8/image",
            expires,
            &signature,
            now.0
        ));
        assert!(!opens(PATH, expires + 1, &signature, now.0));
        assert!(!opens(PATH, expires, "", now.0));
        let other = Links::new(
            "https://hub.example",
            &"other".into(),
            Duration::from_secs(1),
        );
        assert!(!other.opens_picture(PATH, expires, &signature, now));
    }

    #[test]
    fn while_the_secret_is_replaced_links_of_both_open() {
        let now = UnixMillis(20_000 * DAY);
        let (expires, signature) = parts(&links().picture(PATH, now));
        let renewed = Links::new("https://hub.example", &"renewed".into(), Duration::ZERO);
        assert!(!renewed.opens_picture(PATH, expires, &signature, now));
        let replacing = renewed.clone().accepting(Some(&"secret".into()));
        assert!(replacing.opens_picture(PATH, expires, &signature, now));
        assert_eq!(replacing.picture(PATH, now), renewed.picture(PATH, now));
    }

    #[test]
    fn links_of_one_day_are_the_same() {
        let (morning, evening) = (UnixMillis(20_000 * DAY), UnixMillis(20_001 * DAY - 1));
        assert_eq!(
            links().picture(PATH, morning),
            links().picture(PATH, evening)
        );
        assert_ne!(
            links().picture(PATH, morning),
            links().picture(PATH, UnixMillis(20_001 * DAY))
        );
    }

    #[test]
    fn payloads_get_their_picture_signed_and_are_else_left_alone() {
        let now = UnixMillis(20_000 * DAY);
        let payload = r#"{"analysisId":7,"imageUrl":"/api/v1/plantanalyses/7/image","z":1}"#;
        let sent: serde_json::Value =
            serde_json::from_str(&links().sign_payload(payload, now)).unwrap();
        assert_eq!(sent["imageUrl"], links().picture(PATH, now));
        assert_eq!(sent["z"], 1);
        for other in [
            r#"{"imageUrl":null}"#,
            r#"{"imageUrl":"https://elsewhere.example/x.jpg"}"#,
            r#"{"imageUrl":"/api/v1/plantanalyses/7/image/../../8/image"}"#,
            r#"{"message":"\"imageUrl\":\"/api/v1/plantanalyses/7/image\""}"#,
            "null",
        ] {
            assert_eq!(links().sign_payload(other, now), other);
        }
    }

    #[test]
    fn a_callback_is_for_one_kind_of_one_attempt() {
        let now = UnixMillis(20_000 * DAY);
        let link = links().callback(Callback::Result, 5, 2, now + Duration::from_secs(60));
        let url = reqwest::Url::parse(&link).unwrap();
        assert_eq!(url.path(), "/callbacks/jobs/5/result");
        let signature = url
            .query_pairs()
            .find(|(n, _)| n == "sig")
            .unwrap()
            .1
            .into_owned();
        let expires = now.0 / 1_000 + 60;
        let opens = |what, expires, at| links().opens_callback(what, expires, &signature, at);
        assert!(opens((Callback::Result, 5, 2), expires, now));
        assert!(!opens((Callback::Progress, 5, 2), expires, now));
        assert!(!opens((Callback::Result, 6, 2), expires, now));
        assert!(!opens((Callback::Result, 5, 3), expires, now));
        assert!(!opens(
            (Callback::Result, 5, 2),
            expires,
            now + Duration::from_secs(61)
        ));
        assert!(!opens((Callback::Result, 5, 2), expires + 60, now));
    }
}
