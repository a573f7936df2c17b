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

use super::{Config, Problem, Problems, check, environment, secrets};

/// The documented defaults, so that the binary needs no file.
const DEFAULTS: &str = include_str!("../../../../config/hub-api.toml");

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

/// Where settings come from.
#[derive(Clone)]
pub struct Sources {
    /// The folder with `hub-api.toml`.
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
    check::normalise(&mut config);
    // A secret whose variable could not be read must not be made up instead.
    if problems.is_empty() && config.environment.is_development() {
        secrets::fill(&mut config)?;
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

/// `hub-api.toml` first, then `hub-api.*.toml` by name.
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
        .filter(|name| name.starts_with("hub-api.") && name.ends_with(".toml"))
        .collect();
    names.sort_by_key(|name| (name != "hub-api.toml", name.clone()));
    Ok(names.into_iter().map(|name| dir.join(name)).collect())
}

/// What figment found wrong, without the value where that is a secret.
fn problem_of(error: &figment::Error) -> Problem {
    let key = error.path.join(".");
    let what = if environment::is_secret(&key) {
        "expected text".to_owned()
    } else {
        match &error.kind {
            Kind::MissingField(field) => format!("the setting {field} is missing"),
            kind => kind.to_string(),
        }
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
        assert!(
            text.contains("prot") && text.contains("hub-api.toml"),
            "{text}"
        );
    }
}
