//! Reads the worker's settings: what the `settings` crate leaves to the worker.

use std::fs;

use settings::{ConfigError, Effective, Layers, Service, Sources};

use super::{Config, check, environment};

const WORKER: Service = Service {
    name: "analysis-worker",
    defaults: include_str!("../../../../config/analysis-worker.toml"),
    variables: environment::TABLE,
};

/// Where a developer's hub is.
const DEVELOPMENT_HUB: &str = "http://localhost:8080";

pub(super) fn load(sources: &Sources) -> Result<Config, ConfigError> {
    layers(sources)?.checked(check::check)
}

pub(super) fn effective(
    sources: &Sources,
) -> Result<(Effective, Option<ConfigError>), ConfigError> {
    let layers = layers(sources)?;
    let effective = layers.effective();
    Ok((effective, layers.checked(check::check).err()))
}

fn layers(sources: &Sources) -> Result<Layers<Config>, ConfigError> {
    let mut layers = Layers::<Config>::read(WORKER, sources)?;
    if layers.config.environment.is_development() {
        fill_development(&mut layers);
    }
    Ok(layers)
}

/// What a hub on the same machine implies.
fn fill_development(layers: &mut Layers<Config>) {
    if layers.config.hub.base_url.is_none() && layers.is_sound("hub.base_url") {
        layers.config.hub.base_url = reqwest::Url::parse(DEVELOPMENT_HUB)
            .ok()
            .map(super::Address);
        layers.note_filled("hub.base_url", format!("development: {DEVELOPMENT_HUB}"));
    }
    let file = layers.config.data_dir.join("secrets/internal");
    if layers.config.hub.secret.is_none()
        && layers.is_sound("hub.secret")
        && let Ok(text) = fs::read_to_string(&file)
        && !text.trim().is_empty()
    {
        layers.config.hub.secret = Some(text.trim().to_owned().into());
        let source = format!("made by a hub on this machine, in {}", file.display());
        layers.note_filled("hub.secret", source);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::config::Environment;

    const GOOD: &str = "a-secret-of-more-than-32-characters";

    fn sources(dir: &Path, pairs: &[(&str, &str)]) -> Sources {
        let variables = pairs
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect();
        Sources {
            config_dir: dir.to_owned(),
            variables,
        }
    }

    fn refusal(dir: &Path, pairs: &[(&str, &str)]) -> String {
        load(&sources(dir, pairs)).unwrap_err().to_string()
    }

    #[test]
    fn production_is_the_default_and_lists_every_problem_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let text = refusal(
            dir.path(),
            &[
                ("N8N__AuthHeader", "no header"),
                ("Worker__PollSeconds", "31"),
            ],
        );
        for needed in [
            "hub.base_url",
            "ZIRAAI_WEBAPI_URL",
            "hub.secret",
            "ZIRAAI_INTERNAL_SECRET",
            "n8n.auth_header",
            "worker.poll",
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
            "<SAME_SECRET_AS_WEBAPI_BUT_LONG_ENOUGH>",
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        ] {
            let text = refusal(
                dir.path(),
                &[
                    ("WebAPI__InternalSecret", secret),
                    ("WebAPI__BaseUrl", "http://hub"),
                ],
            );
            assert!(text.contains("hub.secret"), "{text}");
            assert!(
                text.contains("environment variable WebAPI__InternalSecret"),
                "{text}"
            );
            assert!(!text.contains(secret), "{text}");
        }
    }

    #[test]
    fn addresses_are_checked_and_their_passwords_never_shown() {
        let dir = tempfile::tempdir().unwrap();
        for url in ["ftp://user:hidden@hub/", "hidden", "${hidden}"] {
            let text = refusal(
                dir.path(),
                &[("WebAPI__InternalSecret", GOOD), ("WebAPI__BaseUrl", url)],
            );
            assert!(
                text.contains("hub.base_url") && text.contains("http://"),
                "{text}"
            );
            assert!(!text.contains("hidden"), "{text}");
        }
        let good = [
            ("WebAPI__InternalSecret", GOOD),
            ("WebAPI__BaseUrl", "http://user:hidden@hub:80/x"),
        ];
        let config = load(&sources(dir.path(), &good)).unwrap();
        assert!(!format!("{config:?}").contains("hidden"), "{config:?}");
        assert!(!format!("{config:?}").contains(GOOD), "{config:?}");
    }

    #[test]
    fn the_documents_names_work_and_the_first_one_wins() {
        let dir = tempfile::tempdir().unwrap();
        let config = load(&sources(
            dir.path(),
            &[
                ("webapi__baseurl", "http://second"),
                ("ZIRAAI_WEBAPI_URL", "http://first:8080"),
                ("ZIRAAI_INTERNAL_SECRET", GOOD),
                ("WebAPI__TimeoutSeconds", "12"),
                ("N8N__TimeoutSeconds", "5m"),
            ],
        ))
        .unwrap();
        assert_eq!(config.environment, Environment::Production);
        assert_eq!(
            config.hub.base_url.unwrap().to_string(),
            "http://first:8080"
        );
        assert_eq!(config.hub.timeout.as_secs(), 12);
        assert_eq!(config.n8n.total_timeout.as_secs(), 300);
    }

    #[test]
    fn development_takes_the_secret_that_a_hub_beside_it_made() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().to_str().unwrap();
        let pairs = [
            ("ASPNETCORE_ENVIRONMENT", "development"),
            ("DATA_DIR", data),
        ];
        assert!(refusal(dir.path(), &pairs).contains("hub.secret"));
        fs::create_dir(dir.path().join("secrets")).unwrap();
        fs::write(dir.path().join("secrets/internal"), "made by the hub\n").unwrap();
        let config = load(&sources(dir.path(), &pairs)).unwrap();
        assert_eq!(
            config.hub.secret.unwrap().expose_secret(),
            "made by the hub"
        );
    }

    #[test]
    fn a_secret_comes_from_a_file_but_not_from_two_places() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("secret");
        fs::write(&file, format!("{GOOD}\n")).unwrap();
        let path = file.to_str().unwrap();
        let hub = ("WebAPI__BaseUrl", "http://hub");
        let config = load(&sources(
            dir.path(),
            &[hub, ("ZIRAAI_INTERNAL_SECRET_FILE", path)],
        ))
        .unwrap();
        assert_eq!(config.hub.secret.unwrap().expose_secret(), GOOD);
        let twice = [
            hub,
            ("ZIRAAI_INTERNAL_SECRET_FILE", path),
            ("ZIRAAI_INTERNAL_SECRET", GOOD),
        ];
        assert!(refusal(dir.path(), &twice).contains("keep one of the two"));
    }

    #[test]
    fn the_brokers_address_has_three_names_and_is_never_shown() {
        let dir = tempfile::tempdir().unwrap();
        let (hub, secret) = (
            ("WebAPI__BaseUrl", "http://hub"),
            ("WebAPI__InternalSecret", GOOD),
        );
        let urls = ["RABBITMQ_URL", "AMQP_URL", "CLOUDAMQP_URL"].map(|name| {
            let url = format!(
                "amqp://me:hidden@{}/",
                name.to_ascii_lowercase().replace('_', "-")
            );
            (name, url)
        });
        for first in 0..urls.len() {
            let mut pairs = vec![hub, secret];
            pairs.extend(
                urls[first..]
                    .iter()
                    .rev()
                    .map(|(n, url)| (*n, url.as_str())),
            );
            let config = load(&sources(dir.path(), &pairs)).unwrap();
            let url = config.rabbitmq.url.clone().unwrap();
            assert_eq!(url.expose_secret(), urls[first].1);
            assert!(!format!("{config:?}").contains("hidden"), "{config:?}");
        }
        let none = load(&sources(dir.path(), &[hub, secret])).unwrap();
        assert!(none.rabbitmq.url.is_none());
        for (name, value, key) in [
            ("AMQP_URL", "http://me:hidden@rabbit/", "rabbitmq.url"),
            ("RABBITMQ_URL", "${hidden}", "rabbitmq.url"),
            (
                "RabbitMq__RequestQueue",
                "amq.hidden",
                "rabbitmq.request_queue",
            ),
            (
                "RabbitMq__ResultQueue",
                "plant-analysis-requests",
                "rabbitmq.result_queue",
            ),
            ("RabbitMq__DeliveryLimit", "0", "rabbitmq.delivery_limit"),
        ] {
            let text = refusal(dir.path(), &[hub, secret, (name, value)]);
            assert!(text.contains(key) && text.contains(name), "{text}");
            assert!(!text.contains("hidden"), "{text}");
        }
    }
}
