//! Who a connection is: what an authentication middleware found out.

use std::{fmt, sync::Arc, time::SystemTime};

/// The authenticated caller of a request. A middleware in front of the hub
/// puts it into the request's extensions; without one the caller is anonymous.
///
/// ```
/// use signalr::Principal;
///
/// let principal = Principal::new("42").with_role("Admin");
/// assert!(principal.has_role("Admin"));
/// ```
#[derive(Clone)]
pub struct Principal {
    user_id: Option<Arc<str>>,
    roles: Arc<[Arc<str>]>,
    expires_at: Option<SystemTime>,
}

impl Principal {
    /// An authenticated user.
    #[must_use]
    pub fn new(user_id: impl Into<Arc<str>>) -> Self {
        Self {
            user_id: Some(user_id.into()),
            roles: Arc::from([]),
            expires_at: None,
        }
    }

    /// Adds a role.
    #[must_use]
    pub fn with_role(mut self, role: impl Into<Arc<str>>) -> Self {
        self.roles = self.roles.iter().cloned().chain([role.into()]).collect();
        self
    }

    /// Sets when the authentication ends.
    #[must_use]
    pub fn with_expiry(mut self, expires_at: SystemTime) -> Self {
        self.expires_at = Some(expires_at);
        self
    }

    /// The id by which [`HubContext::user`](crate::HubContext::user) finds this
    /// user's connections.
    #[must_use]
    pub fn user_id(&self) -> Option<&Arc<str>> {
        self.user_id.as_ref()
    }

    /// Whether the user has that role; letter case matters.
    #[must_use]
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|each| &**each == role)
    }

    /// When the authentication ends.
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.expires_at
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Principal")
            .field("user_id", &self.user_id)
            .field("roles", &self.roles)
            .finish_non_exhaustive()
    }
}

/// Who may use a hub, or call a method.
///
/// ```
/// use signalr::{Authorization, Principal};
///
/// let admins = Authorization::Role("admin".into());
/// assert!(admins.allows(Some(&Principal::new("ada").with_role("admin"))));
/// assert!(!admins.allows(Some(&Principal::new("bob"))));
/// assert!(!Authorization::Authenticated.allows(None));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Authorization {
    /// Everybody.
    #[default]
    Anyone,
    /// Any authenticated caller.
    Authenticated,
    /// Callers with that role.
    Role(Arc<str>),
    /// Nobody.
    Nobody,
}

impl Authorization {
    /// Whether `principal` may.
    #[must_use]
    pub fn allows(&self, principal: Option<&Principal>) -> bool {
        match self {
            Self::Anyone => true,
            Self::Authenticated => principal.is_some(),
            Self::Role(role) => principal.is_some_and(|principal| principal.has_role(role)),
            Self::Nobody => false,
        }
    }
}
