//! Reads the hub's settings: what the `settings` crate leaves to the hub.

use std::{io, path::PathBuf};

use settings::{Effective, Layers, Service, Sources};

use super::{Config, check, environment, secrets};

const HUB: Service = Service {
    name: "hub-api",
    defaults: include_str!("../../../../config/hub-api.toml"),
    variables: environment::TABLE,
};

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// They cannot be read, or some are wrong.
    #[error(transparent)]
    Settings(#[from] settings::ConfigError),
    /// A development secret can neither be read nor made.
    #[error("cannot keep the development secret {path}")]
    DevelopmentSecret {
        /// Its file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

pub(super) fn load(sources: &Sources) -> Result<Config, ConfigError> {
    let mut config = layers(sources)?.checked(check::check)?;
    config.sources = Some(sources.clone());
    Ok(config)
}

pub(super) fn effective(
    sources: &Sources,
) -> Result<(Effective, Option<ConfigError>), ConfigError> {
    let layers = layers(sources)?;
    let effective = layers.effective();
    let wrong = layers.checked(check::check).err();
    Ok((effective, wrong.map(ConfigError::from)))
}

fn layers(sources: &Sources) -> Result<Layers<Config>, ConfigError> {
    let mut layers = Layers::<Config>::read(HUB, sources)?;
    check::normalise(&mut layers.config);
    if layers.config.environment.is_development() {
        secrets::fill(&mut layers)?;
    }
    Ok(layers)
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::config::Environment;

    fn sources(dir: &Path, pairs: &[(&str, &str)]) -> Sources {
        let data = dir.join("data");
        let mut variables = vec![("DATA_DIR".to_owned(), data.to_str().unwrap().to_owned())];
        variables.extend(
            pairs
                .iter()
                .map(|(n, v)| ((*n).to_owned(), (*v).to_owned())),
        );
        Sources {
            config_dir: dir.to_owned(),
            variables,
        }
    }

    fn refusal(sources: &Sources) -> String {
        load(sources).unwrap_err().to_string()
    }

    #[test]
    fn a_bucket_is_given_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let development = ("ASPNETCORE_ENVIRONMENT", "Development");
        let text = refusal(&sources(
            dir.path(),
            &[
                development,
                ("S3__Endpoint", "https://me:hidden@s3.example.com"),
                ("S3__AccessKey", "key"),
            ],
        ));
        for needed in ["s3.bucket", "s3.secret_key", "S3__Bucket", "s3.endpoint"] {
            assert!(text.contains(needed), "{needed} in {text}");
        }
        assert!(!text.contains("hidden"), "{text}");

        let config = load(&sources(
            dir.path(),
            &[
                development,
                ("S3__Bucket", "photos"),
                ("S3__AccessKey", "key"),
                ("S3__SecretKey", "secret"),
            ],
        ))
        .unwrap();
        assert_eq!(config.s3.bucket.as_deref(), Some("photos"));
        assert_eq!(config.s3.region, "us-east-1");
    }

    #[test]
    fn production_is_the_default_and_lists_every_problem_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let text = refusal(&sources(dir.path(), &[]));
        for needed in [
            "jwt.secret",
            "internal.secret",
            "jwt.issuer",
            "jwt.audience",
            "Jwt__Secret",
            "ZIRAAI_INTERNAL_SECRET",
        ] {
            assert!(text.contains(needed), "{needed} in {text}");
        }
    }

    #[test]
    fn unsafe_secrets_are_refused_by_key_and_never_shown() {
        let dir = tempfile::tempdir().unwrap();
        for secret in [
            "too short, 24 characters",
            "${ZIRAAI_INTERNAL_SECRET_OF_THE_PRODUCTION}",
            "<GENERATE_SECURE_SECRET_AND_PUT_IT_HERE>",
        ] {
            let text = refusal(&sources(dir.path(), &[("WebAPI__InternalSecret", secret)]));
            assert!(text.contains("internal.secret"), "{text}");
            assert!(
                text.contains("environment variable WebAPI__InternalSecret"),
                "{text}"
            );
            assert!(!text.contains(secret), "{text}");
        }
    }

    #[test]
    fn development_makes_its_secrets_and_keeps_them() {
        let dir = tempfile::tempdir().unwrap();
        let sources = sources(dir.path(), &[("aspnetcore_environment", "development")]);
        let (first, second) = (load(&sources).unwrap(), load(&sources).unwrap());
        assert_eq!(first.environment, Environment::Development);
        use secrecy::ExposeSecret as _;
        let of = |c: &Config| c.jwt.secret.as_ref().unwrap().expose_secret().to_owned();
        assert_eq!(of(&first), of(&second));
        assert!(of(&first).len() >= 32);
    }

    #[test]
    fn the_environment_beats_files_and_files_beat_defaults() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(
            dir.path().join("hub-api.toml"),
            "[server]\nport = 1111\n[jobs]\nmax_attempts = 7\n",
        )
        .unwrap();
        fs::write(
            dir.path().join("hub-api.local.toml"),
            "[jobs]\nmax_attempts = 8\n",
        )
        .unwrap();
        fs::write(dir.path().join("other.toml"), "nonsense = 1\n").unwrap();
        let config = load(&sources(
            dir.path(),
            &[("ASPNETCORE_ENVIRONMENT", "Development"), ("PORT", "2222")],
        ))
        .unwrap();
        assert_eq!((config.server.port, config.jobs.max_attempts), (2222, 8));
    }

    #[test]
    fn a_wrong_value_is_named_with_its_source() {
        let dir = tempfile::tempdir().unwrap();
        let text = refusal(&sources(
            dir.path(),
            &[
                ("PORT", "eighty"),
                ("ASPNETCORE_ENVIRONMENT", "Development"),
            ],
        ));
        assert!(
            text.contains("server.port") && text.contains("environment variable PORT"),
            "{text}"
        );
        fs::write(dir.path().join("hub-api.toml"), "[server]\nprot = 1\n").unwrap();
        let text = refusal(&sources(
            dir.path(),
            &[("ASPNETCORE_ENVIRONMENT", "Development")],
        ));
        for needed in ["server.prot", "hub-api.toml", "did you mean server.port?"] {
            assert!(text.contains(needed), "{needed} in {text}");
        }
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(
            dir.path().join("hub-api.toml"),
            "prot = 80\n[server]\nidle_timout = 5\nheader_timeout = true\n[jobs]\nlease = \"x\"\n\
             [origins]\nallowed = []\n",
        )
        .unwrap();
        let text = refusal(&sources(
            dir.path(),
            &[
                ("PORT", "eighty"),
                ("Server__TrustedProxies", "0.0.0.0/0"),
                ("Cors__AllowedOrigins", "*, http://app.example.com"),
                ("Jwt__JwksUrl", "http://login.example.com/jwks"),
                ("Jwt__Leeway", "1h"),
            ],
        ));
        for needed in [
            "prot: is no setting; did you mean server.port?",
            "server.idle_timout: is no setting; did you mean server.idle_timeout?",
            "origins.allowed: is no setting",
            "server.header_timeout",
            "jobs.lease",
            "server.port",
            "server.trusted_proxies: \"0.0.0.0/0\" is everyone",
            "cors.allowed_origins: \"*\"",
            "cors.allowed_origins: \"http://app.example.com\"",
            "jwt.jwks_url: is fetched without encryption",
            "jwt.leeway",
            "internal.secret: is missing",
        ] {
            assert!(text.contains(needed), "{needed} in {text}");
        }
    }

    #[test]
    fn times_by_which_nobody_could_be_served_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let wrong = [
            ("Server__FirstByteTimeout", "server.first_byte_timeout"),
            ("Server__HeaderTimeout", "server.header_timeout"),
            ("Server__IdleTimeout", "server.idle_timeout"),
            ("Server__BodyIdleTimeout", "server.body_idle_timeout"),
            ("Server__RequestTimeout", "server.request_timeout"),
            ("Server__UploadTimeout", "server.upload_timeout"),
            ("Notifications__Retention", "notifications.retention"),
            ("Jwt__JwksRefresh", "jwt.jwks_refresh"),
            ("Jwt__JwksCooldown", "jwt.jwks_cooldown"),
        ];
        let text = refusal(&sources(dir.path(), &wrong.map(|(name, _)| (name, "0"))));
        for (_, key) in wrong {
            assert!(
                text.contains(&format!("{key}: must be at least")),
                "{key} in {text}"
            );
        }
    }

    #[test]
    fn a_waiting_lease_outlives_short_requests() {
        let dir = tempfile::tempdir().unwrap();
        for (request, internal) in [("1", 40), ("60", 120)] {
            let config = load(&sources(
                dir.path(),
                &[
                    ("ASPNETCORE_ENVIRONMENT", "Development"),
                    ("Server__RequestTimeout", request),
                ],
            ))
            .unwrap();
            assert_eq!(config.server.internal_timeout().as_secs(), internal);
        }
    }

    #[test]
    fn a_file_that_is_no_toml_is_named_and_its_lines_are_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("hub-api.toml");
        fs::write(&file, "[jwt]\nsecret = hidden\n").unwrap();
        let development = ("ASPNETCORE_ENVIRONMENT", "Development");
        let text = refusal(&sources(dir.path(), &[development]));
        assert!(
            text.contains("hub-api.toml") && text.contains("line 2"),
            "{text}"
        );
        assert!(!text.contains("hidden"), "{text}");
    }

    #[test]
    fn the_effective_settings_tell_where_each_comes_from_and_no_secret() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(
            dir.path().join("hub-api.toml"),
            "[jobs]\nmax_attempts = 7\n",
        )
        .unwrap();
        let secret = "a-secret-that-nobody-may-see-in-the-list";
        let (effective, wrong) = effective(&sources(
            dir.path(),
            &[
                ("ASPNETCORE_ENVIRONMENT", "Development"),
                ("PORT", "2222"),
                ("Jwt__Secret", secret),
                ("DATABASE_URL", "postgres://me:hidden@db/hub"),
                ("Jwt__JwksUrl", "https://me:hidden@login.example.com/hidden"),
            ],
        ))
        .unwrap();
        assert!(wrong.is_none(), "{wrong:?}");
        let text = effective.to_string();
        assert!(!text.contains(secret) && !text.contains("hidden"), "{text}");
        let row = |key: &str| {
            let rows = effective.settings();
            let row = rows.iter().find(|row| row.key == key).unwrap();
            (row.value.clone().unwrap_or_default(), row.source.clone())
        };
        assert_eq!(row("server.port").0, "2222");
        assert_eq!(row("server.port").1, "environment variable PORT");
        assert!(row("jobs.max_attempts").1.contains("hub-api.toml"));
        assert_eq!(row("upload.max_bytes").1, "the built-in defaults");
        assert!(row("jwt.secret").0.contains("40 characters"));
        assert!(row("internal.secret").1.contains("secrets"));
        assert!(row("jwt.jwks_url").0.contains("login.example.com"));
        assert_eq!(row("public_url"), (String::new(), "nowhere".to_owned()));
    }

    #[test]
    fn the_hubs_names_are_in_its_table_and_the_first_one_wins() {
        use secrecy::ExposeSecret as _;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("jwt");
        fs::write(&file, "from the file\n").unwrap();
        let config = load(&sources(
            dir.path(),
            &[
                ("ASPNETCORE_ENVIRONMENT", "Development"),
                ("webapi__internalsecret", "second"),
                ("ZIRAAI_INTERNAL_SECRET", "first"),
                ("Jwt__Secret_FILE", file.to_str().unwrap()),
                ("Cors__AllowedOrigins__1", "https://b"),
                ("CORS__ALLOWEDORIGINS__0", "https://a/"),
                ("Security__AllowedInternalIPs", "10.0.0.0/8, ::1"),
                ("RAILWAY_PUBLIC_DOMAIN", "hub.example"),
            ],
        ))
        .unwrap();
        assert_eq!(config.internal.secret.unwrap().expose_secret(), "first");
        assert_eq!(config.jwt.secret.unwrap().expose_secret(), "from the file");
        assert_eq!(config.cors.allowed_origins, ["https://a", "https://b"]);
        assert_eq!(config.internal.allowed_ips, ["10.0.0.0/8", "::1"]);
        assert_eq!(config.public_url.as_deref(), Some("https://hub.example"));
    }
}
