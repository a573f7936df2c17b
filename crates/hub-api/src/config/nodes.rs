//! Settings of a hub that is one of several.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use settings::{Problems, duration};
use signalr_redis::{OptionsError, RedisOptions};

/// By which several hubs act as one.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedisConfig {
    /// Whether it is used at all.
    #[serde(deserialize_with = "settings::yes_or_no")]
    pub enabled: bool,
    /// Where it is: a URL, or StackExchange.Redis' configuration string. It
    /// may hold a password.
    #[serde(default)]
    pub url: Option<SecretString>,
    /// Before the names of all channels and keys, unless `url` has its own.
    pub channel_prefix: String,
    /// The full name that the hub's class has in .NET.
    pub hub_name: String,
    /// The authority of the server's certificate, as PEM.
    #[serde(default)]
    pub ca_certificate: Option<String>,
}

/// What hubs do that share a database.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodesConfig {
    /// Between two looks for what other hubs wrote; 0 for none.
    #[serde(with = "duration")]
    pub sweep: Duration,
}

impl RedisConfig {
    /// How to reach it; `None` where it is not used.
    ///
    /// # Errors
    /// [`OptionsError`] says what is wrong, without the text.
    pub fn options(&self) -> Result<Option<RedisOptions>, OptionsError> {
        if !self.enabled {
            return Ok(None);
        }
        let url = self.url.as_ref().ok_or(OptionsError::Address)?;
        let mut options: RedisOptions = url.expose_secret().parse()?;
        if options.channel_prefix.is_empty() {
            options.channel_prefix.clone_from(&self.channel_prefix);
        }
        options.client_name = Some("tendril-hub".to_owned());
        // Many places to set a variable keep no line breaks.
        let pem = self
            .ca_certificate
            .as_ref()
            .map(|pem| pem.replace("\\n", "\n"));
        options.ca_certificate = pem.filter(|pem| !pem.is_empty());
        options.check()?;
        Ok(Some(options))
    }

    pub(super) fn check(&self, problems: &mut Problems) {
        if !self.enabled {
            return;
        }
        match self.url.as_ref().map(SecretString::expose_secret) {
            None | Some("") => problems.add("redis.url", "is missing, while redis.enabled is true"),
            Some(text) if text.contains("${") => {
                problems.add("redis.url", "is a placeholder that nobody replaced");
            }
            Some(_) => match self.options() {
                Ok(_) => {}
                Err(OptionsError::Certificate) => {
                    problems.add(
                        "redis.ca_certificate",
                        OptionsError::Certificate.to_string(),
                    );
                }
                Err(error) => problems.add("redis.url", error.to_string()),
            },
        }
        if self.hub_name.is_empty() {
            problems.add("redis.hub_name", "is empty");
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Sources};

    fn load(variables: &[(&str, &str)]) -> Result<Config, String> {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let own = [
            ("DATA_DIR", data.to_str().unwrap()),
            ("ASPNETCORE_ENVIRONMENT", "Development"),
        ];
        let all = own.iter().chain(variables);
        Config::load_from(&Sources {
            config_dir: dir.path().to_owned(),
            variables: all
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        })
        .map_err(|error| error.to_string())
    }

    #[test]
    fn redis_is_off_until_a_switch_is_on() {
        let url = ("REDIS_URL", "redis://localhost");
        assert!(load(&[]).unwrap().redis.options().unwrap().is_none());
        assert!(load(&[url]).unwrap().redis.options().unwrap().is_none());
        for switch in [
            "UseRedis",
            "USE_REDIS",
            "SignalR__UseRedisBackplane",
            "useredis",
        ] {
            for on in ["true", "True", "1", "yes"] {
                let config = load(&[url, (switch, on)]).unwrap();
                assert!(config.redis.options().unwrap().is_some(), "{switch}={on}");
            }
            let config = load(&[url, (switch, "False")]).unwrap();
            assert!(config.redis.options().unwrap().is_none());
        }
        let text = load(&[url, ("UseRedis", "maybe")]).unwrap_err();
        assert!(
            text.contains("redis.enabled") && text.contains("UseRedis"),
            "{text}"
        );
    }

    #[test]
    fn of_several_switches_and_addresses_the_most_specific_wins() {
        let both = [
            ("REDIS_URL", "redis://from-the-platform"),
            (
                "ConnectionStrings__Redis",
                "from-the-app:7000,password=hidden",
            ),
            ("USE_REDIS", "false"),
            ("UseRedis", "true"),
        ];
        let options = load(&both).unwrap().redis.options().unwrap().unwrap();
        assert_eq!(options.address(), "from-the-app:7000");
        let mut three = both.to_vec();
        three.push(("SignalR__UseRedisBackplane", "false"));
        assert!(load(&three).unwrap().redis.options().unwrap().is_none());
    }

    #[test]
    fn channels_are_those_of_the_dotnet_hub_by_default() {
        let on = ("UseRedis", "true");
        let config = load(&[on, ("REDIS_URL", "redis://h")]).unwrap();
        assert_eq!(config.redis.hub_name, "WebAPI.Hubs.PlantAnalysisHub");
        let options = config.redis.options().unwrap().unwrap();
        assert_eq!(options.channel_prefix, "ZiraAI:SignalR:");
        let own = ("ConnectionStrings__Redis", "h,channelPrefix=Own:");
        let options = load(&[on, own]).unwrap().redis.options().unwrap().unwrap();
        assert_eq!(options.channel_prefix, "Own:");
    }

    #[test]
    fn what_is_wrong_is_named_and_never_shown() {
        let on = ("UseRedis", "true");
        let text = load(&[on]).unwrap_err();
        assert!(
            text.contains("redis.url") && text.contains("missing"),
            "{text}"
        );
        for url in [
            "${REDIS_URL}",
            "redis://u:hidden@host:x",
            "host,pasword=hidden",
        ] {
            let text = load(&[on, ("REDIS_URL", url)]).unwrap_err();
            assert!(
                text.contains("redis.url") && text.contains("REDIS_URL"),
                "{text}"
            );
            assert!(!text.contains("hidden"), "{text}");
        }
        let config = load(&[on, ("REDIS_URL", "redis://u:hidden@host")]).unwrap();
        assert!(!format!("{config:?}").contains("hidden"));
    }
}
