//! Layers the sources of settings and turns every fault into a named problem.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use figment::{
    Figment,
    error::Kind,
    providers::{Format, Toml},
};

use super::{Config, Problem, Problems, check, environment};

/// The documented defaults, so that the binary needs no file.
const DEFAULTS: &str = include_str!("../../../../config/analysis-worker.toml");

/// Where a developer's hub is.
const DEVELOPMENT_HUB: &str = "http://localhost:8080";

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Settings are wrong; each is listed.
    #[error("{0}")]
    Invalid(Problems),
    /// The folder of settings cannot be listed.
    #[error("cannot read the folder of settings {path}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// Where settings come from.
#[derive(Clone)]
pub struct Sources {
    /// The folder with `analysis-worker.toml`.
    pub config_dir: PathBuf,
    /// Environment variables.
    pub variables: Vec<(String, String)>,
}

/// The variables hold secrets: only their number is shown.
impl std::fmt::Debug for Sources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sources")
            .field("config_dir", &self.config_dir)
            .field("variables", &self.variables.len())
            .finish()
    }
}

impl Sources {
    /// This process's environment, and the folder that `CONFIG_DIR` names.
    #[must_use]
    pub fn of_process() -> Self {
        let variables = env::vars_os()
            .filter_map(|(name, text)| Some((name.into_string().ok()?, text.into_string().ok()?)))
            .collect();
        let config_dir = env::var_os("CONFIG_DIR").map_or_else(|| "config".into(), PathBuf::from);
        Self {
            config_dir,
            variables,
        }
    }
}

pub(super) fn load(sources: &Sources) -> Result<Config, ConfigError> {
    let mut figment = Figment::from(Toml::string(DEFAULTS));
    for file in files(&sources.config_dir)? {
        figment = figment.merge(Toml::file_exact(file));
    }
    let (settings, bad) = environment::settings(&sources.variables);
    for setting in settings {
        figment = figment.merge(setting);
    }
    let mut problems = Problems::default();
    for variable in bad {
        problems.push(Problem::new(variable.key, variable.what).from(variable.name));
    }
    let mut config: Config = match figment.extract() {
        Ok(config) => config,
        Err(error) => {
            error
                .into_iter()
                .for_each(|error| problems.push(problem_of(&error)));
            return Err(ConfigError::Invalid(problems));
        }
    };
    // A secret whose variable could not be read must not be taken from elsewhere.
    if problems.is_empty() && config.environment.is_development() {
        fill_development(&mut config);
    }
    check::check(&config, &mut problems);
    for problem in problems.iter_mut() {
        if let Some(metadata) = figment.find_metadata(&problem.key) {
            problem.source.get_or_insert_with(|| source_of(metadata));
        }
    }
    if problems.is_empty() {
        Ok(config)
    } else {
        Err(ConfigError::Invalid(problems))
    }
}

/// What a hub on the same machine implies.
fn fill_development(config: &mut Config) {
    if config.hub.base_url.is_none() {
        config.hub.base_url = reqwest::Url::parse(DEVELOPMENT_HUB)
            .ok()
            .map(super::Address);
    }
    if config.hub.secret.is_none()
        && let Ok(text) = fs::read_to_string(config.data_dir.join("secrets/internal"))
        && !text.trim().is_empty()
    {
        config.hub.secret = Some(text.trim().to_owned().into());
    }
}

/// `analysis-worker.toml` first, then `analysis-worker.*.toml` by name.
fn files(dir: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => {
            return Err(ConfigError::Folder {
                path: dir.to_owned(),
                source,
            });
        }
    };
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with("analysis-worker.") && name.ends_with(".toml"))
        .collect();
    names.sort_by_key(|name| (name != "analysis-worker.toml", name.clone()));
    Ok(names.into_iter().map(|name| dir.join(name)).collect())
}

/// What figment found wrong, without the value where that is a secret.
fn problem_of(error: &figment::Error) -> Problem {
    let key = error.path.join(".");
    let what = match &error.kind {
        Kind::MissingField(field) => format!("the setting {field} is missing"),
        Kind::Message(text) => text.clone(),
        _ if environment::is_secret(&key) => "expected text".to_owned(),
        kind => kind.to_string(),
    };
    let problem = Problem::new(key, what);
    match &error.metadata {
        Some(metadata) => problem.from(source_of(metadata)),
        None => problem,
    }
}

fn source_of(metadata: &figment::Metadata) -> String {
    match &metadata.source {
        Some(source) => source.to_string(),
        None if metadata.name.starts_with("TOML") => "the built-in defaults".to_owned(),
        None => metadata.name.to_string(),
    }
}

#[cfg(test)]
mod tests {
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
}
