//! What a verified token says of its bearer.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Number, Value};
use shared_dto::UserId;

/// More roles than this are no roles but an attack on memory.
const MAX_ROLES: usize = 64;

/// The bearer of a verified token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Whose token it is.
    pub user_id: UserId,
    /// The bearer's roles.
    pub roles: Arc<[Box<str>]>,
    /// When the token ends, in seconds since 1970.
    pub expires_at: i64,
}

impl Principal {
    /// Whether the bearer has `role`; names of roles are compared exactly.
    #[must_use]
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|own| **own == *role)
    }
}

/// The claims that are read. `nameid` and `role` are the short names that
/// .NET's token handler writes for the two URIs.
#[derive(Deserialize)]
pub(super) struct Claims {
    exp: Number,
    #[serde(default)]
    iss: Option<Value>,
    #[serde(default, rename = "userId")]
    user_id: Option<Value>,
    #[serde(
        default,
        rename = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier"
    )]
    name_identifier: Option<Value>,
    #[serde(default)]
    nameid: Option<Value>,
    #[serde(default)]
    sub: Option<Value>,
    #[serde(default)]
    role: Option<Value>,
    #[serde(default)]
    roles: Option<Value>,
    #[serde(
        default,
        rename = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"
    )]
    dotnet_role: Option<Value>,
}

impl Claims {
    /// The bearer, or nothing where a claim has no meaning.
    pub(super) fn into_principal(self) -> Option<Principal> {
        // RFC 7519 section 4.1.1: `iss` is one string.
        if self.iss.is_some_and(|iss| !iss.is_string()) {
            return None;
        }
        // The first claim that is there decides: falling back to another one
        // when it is malformed would let two readers see two users.
        let id = [self.user_id, self.name_identifier, self.nameid, self.sub]
            .into_iter()
            .flatten()
            .next()?;
        let user_id = serde_json::from_value(id).ok()?;
        let mut roles = Vec::new();
        for claim in [self.role, self.roles, self.dotnet_role]
            .into_iter()
            .flatten()
        {
            match claim {
                Value::String(role) => roles.push(role.into_boxed_str()),
                Value::Array(several) => {
                    for role in several {
                        roles.push(role.as_str()?.into());
                    }
                }
                _ => return None,
            }
        }
        if roles.len() > MAX_ROLES {
            return None;
        }
        Some(Principal {
            user_id,
            roles: roles.into(),
            expires_at: seconds(&self.exp)?,
        })
    }
}

/// RFC 7519 allows fractions; a time after the year 9999 is no time.
fn seconds(number: &Number) -> Option<i64> {
    const END_OF_9999: i64 = 253_402_300_799;
    let whole = number.as_i64().or_else(|| {
        let broken = number.as_f64()?.floor();
        // Checked: the float lies well inside what an i64 holds.
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the range is checked just before"
        )]
        (0.0..=1e12).contains(&broken).then_some(broken as i64)
    })?;
    (0..=END_OF_9999).contains(&whole).then_some(whole)
}
