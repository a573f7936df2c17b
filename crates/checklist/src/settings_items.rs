//! What can be said of settings alone.

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use settings::{Environment, Problems};
use sha2::Sha256;

use crate::Item;

/// One failed item for each setting that is wrong.
pub fn problems(problems: &Problems) -> impl Iterator<Item = Item> {
    problems.as_slice().iter().map(|problem| {
        let advice = match (problem.variable, &problem.source) {
            (Some(variable), Some(source)) => format!("correct {source}, or set {variable}"),
            (Some(variable), None) => format!("set {variable}"),
            (None, Some(source)) => format!("correct {source}"),
            (None, None) => "correct it".to_owned(),
        };
        Item::fail(&problem.key, &problem.what, advice)
    })
}

/// Whether the service runs as strictly as it should where users are.
#[must_use]
pub fn environment(environment: Environment) -> Item {
    const NAME: &str = "environment";
    match environment {
        Environment::Production => Item::pass(NAME, "Production"),
        Environment::Staging => Item::pass(NAME, "Staging, as strict as Production"),
        Environment::Development => Item::warn(
            NAME,
            "Development: secrets are made up and pages of this machine may call",
            "set ASPNETCORE_ENVIRONMENT=Production where users are",
        ),
    }
}

/// A secret that is there and was judged before: its length, and its
/// fingerprint to compare with the other side's.
#[must_use]
pub fn secret(name: &str, secret: Option<&SecretString>) -> Item {
    match secret {
        Some(secret) => {
            let length = secret.expose_secret().chars().count();
            let mark = fingerprint(secret);
            Item::pass(name, format!("{length} characters, fingerprint {mark}"))
        }
        None => Item::pass(name, "not used"),
    }
}

/// 32 bits that are the same wherever the secret is the same. A secret of 32
/// random characters cannot be found by them.
#[must_use]
pub fn fingerprint(secret: &SecretString) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes());
    let mut mac = mac.expect("HMAC takes keys of any length");
    mac.update(b"tendril checklist fingerprint 1");
    let mark = mac.finalize().into_bytes();
    mark[..4].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether internal calls are taken from known networks only.
#[must_use]
pub fn allow_list(networks: &[String], a_minute: u32) -> Item {
    const NAME: &str = "allow-list";
    if networks.is_empty() {
        Item::warn(
            NAME,
            format!("empty: any source may make {a_minute} internal calls a minute"),
            "set Security__AllowedInternalIPs__0 to the workers' network",
        )
    } else {
        let listed = networks.join(", ");
        Item::pass(NAME, format!("internal calls from loopback, {listed}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_tell_secrets_apart_and_nothing_of_them() {
        let text = "a secret of more than thirty-two characters";
        let one: SecretString = text.into();
        let other: SecretString = "another secret of more than 32 characters".into();
        assert_eq!(fingerprint(&one), fingerprint(&text.into()));
        assert_ne!(fingerprint(&one), fingerprint(&other));
        let item = secret("internal secret", Some(&one));
        assert!(!item.found.contains(text) && item.found.contains("43 characters"));
    }
}
