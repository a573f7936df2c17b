//! Where a service runs, which decides how strict its checks are.

use std::fmt;

use serde::Deserialize;

/// Where a service runs. Anything but Development is as strict as Production.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    /// A developer's machine.
    Development,
    /// As strict as Production.
    Staging,
    /// Refuses to start with an unsafe setting.
    Production,
}

impl Environment {
    /// Whether unsafe settings are accepted.
    #[must_use]
    pub fn is_development(self) -> bool {
        self == Self::Development
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Development => "Development",
            Self::Staging => "Staging",
            Self::Production => "Production",
        })
    }
}

impl<'de> Deserialize<'de> for Environment {
    /// ASP.NET compares the name without regard to case.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        [Self::Development, Self::Staging, Self::Production]
            .into_iter()
            .find(|environment| environment.to_string().eq_ignore_ascii_case(name.trim()))
            .ok_or_else(|| serde::de::Error::custom("expected Development, Staging or Production"))
    }
}
