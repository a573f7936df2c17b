//! What makes a secret unsafe. It is never part of what is said of it.

use secrecy::{ExposeSecret as _, SecretString};

use crate::Problems;

/// Shorter secrets can be guessed, and HS256 wants at least as many bits as its hash.
pub const SHORTEST_SECRET: usize = 32;

/// Texts of examples and templates that end up in production by mistake.
const PLACEHOLDERS: &[&str] = &[
    "changeme",
    "change-me",
    "change_me",
    "your-secret",
    "your_secret",
    "yoursecret",
    "placeholder",
    "generate_secure",
    "generate-secure",
    "same_secret_as",
    "example-secret",
];

/// How strictly a secret is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strictness {
    /// A developer's machine: only what was plainly forgotten.
    Lenient,
    /// Everywhere else: what can be guessed as well.
    Strict,
}

impl Problems {
    /// Adds what makes `secret` unsafe, if anything does.
    pub fn check_secret(&mut self, key: &str, secret: &SecretString, strictness: Strictness) {
        if let Some(what) = fault(secret.expose_secret(), strictness) {
            self.add(key, what);
        }
    }
}

fn fault(secret: &str, strictness: Strictness) -> Option<String> {
    let length = secret.chars().count();
    let lower = secret.to_ascii_lowercase();
    if secret.is_empty() {
        return Some("is empty".to_owned());
    }
    if secret.contains("${") || (secret.starts_with('<') && secret.ends_with('>')) {
        return Some("is a placeholder that nobody replaced".to_owned());
    }
    if strictness == Strictness::Lenient {
        return None;
    }
    if length < SHORTEST_SECRET {
        let text = format!("has {length} characters; at least {SHORTEST_SECRET} are needed");
        return Some(text);
    }
    let known = PLACEHOLDERS.iter().any(|known| lower.contains(known));
    let same = secret.chars().all(|c| secret.starts_with(c));
    (known || same).then(|| "is a default that everyone knows; make a random one".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_guessed_is_found() {
        for (secret, lenient, strict) in [
            ("", true, true),
            ("${JWT_SECRET_OF_THE_PRODUCTION_SYSTEM}", true, true),
            ("<GENERATE_SECURE_SECRET_AND_PUT_IT_HERE>", true, true),
            ("short", false, true),
            ("your-secret-key-with-more-than-32-characters", false, true),
            ("ChangeMe-ChangeMe-ChangeMe-ChangeMe-ChangeMe", false, true),
            ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false, true),
            ("kV7mQ2xT9cLw4RzN8bHs6JyF3dGp1AeU", false, false),
        ] {
            assert_eq!(
                fault(secret, Strictness::Lenient).is_some(),
                lenient,
                "{secret}"
            );
            assert_eq!(
                fault(secret, Strictness::Strict).is_some(),
                strict,
                "{secret}"
            );
        }
    }
}
