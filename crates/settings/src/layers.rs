//! Layers the sources of settings and turns every fault into a named problem.

use std::{collections::BTreeSet, env, fmt, io, path::PathBuf};

use figment::{
    Figment, Profile, Provider,
    error::Kind as Fault,
    providers::{Format, Toml},
    value::Dict,
};
use serde::de::DeserializeOwned;

use crate::{
    effective::{Effective, EffectiveSetting, shown},
    files::{self, files},
    problems::{Problem, Problems},
    variables::{self, Kind, Setting, Table},
};

/// Values of a wrong type that are told at once; who has more has another problem.
const MOST_WRONG_TYPES: usize = 50;

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

/// What a service brings.
#[derive(Debug, Clone, Copy)]
pub struct Service {
    /// Its name, with which its files begin.
    pub name: &'static str,
    /// Its documented defaults in TOML, so that the binary needs no file.
    pub defaults: &'static str,
    /// The environment variables that it knows.
    pub variables: Table,
}

/// Where settings come from.
#[derive(Clone)]
pub struct Sources {
    /// The folder with the files, `{service}.toml` and `{service}.*.toml`.
    pub config_dir: PathBuf,
    /// Environment variables.
    pub variables: Vec<(String, String)>,
}

/// The variables hold secrets: only their number is shown.
impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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

/// Settings that were read and are still to be checked.
pub struct Layers<T> {
    /// The settings, which the service may complete before the checks.
    pub config: T,
    service: Service,
    known: BTreeSet<String>,
    figment: Figment,
    problems: Problems,
    filled: Vec<(&'static str, String)>,
}

/// The layers hold secrets: only whose they are is shown.
impl<T> fmt::Debug for Layers<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layers")
            .field("service", &self.service.name)
            .finish_non_exhaustive()
    }
}

impl<T: DeserializeOwned> Layers<T> {
    /// Reads the embedded defaults, the files and the environment. A setting
    /// that cannot be taken as it is has its default, and is a problem.
    ///
    /// # Errors
    /// [`ConfigError`] when the folder cannot be listed, or when a value has the
    /// wrong type and there is no default to go on with.
    pub fn read(service: Service, sources: &Sources) -> Result<Self, ConfigError> {
        let defaults = Figment::from(Toml::string(service.defaults));
        let known = known(service);
        let mut problems = Problems::default();
        let mut figment = defaults.clone();
        for path in files(&sources.config_dir, service.name)? {
            let (file, wrong) = files::read(path, &known);
            wrong.into_iter().for_each(|problem| problems.push(problem));
            figment = figment.merge(file);
        }
        let (settings, bad) = variables::settings(service.variables, &sources.variables);
        for setting in settings {
            figment = figment.merge(setting);
        }
        for variable in bad {
            problems.push(Problem::new(variable.key, variable.what).from(variable.name));
        }
        let mut layered = figment.clone();
        for _ in 0..MOST_WRONG_TYPES {
            let error = match layered.extract() {
                Ok(config) => {
                    return Ok(Self {
                        config,
                        service,
                        known,
                        figment,
                        problems,
                        filled: Vec::new(),
                    });
                }
                Err(error) => error,
            };
            let key = error.path.join(".");
            problems.push(problem_of(&error, service.variables));
            match defaults.find_value(&key) {
                Ok(value) => layered = layered.merge(Setting::from_defaults(&key, value)),
                Err(_) => break,
            }
        }
        name_variables(&mut problems, service.variables);
        Err(ConfigError::Invalid(problems))
    }

    /// Whether nothing is wrong with the setting `key` so far. One that could
    /// not be read must not be made up or taken from elsewhere instead.
    #[must_use]
    pub fn is_sound(&self, key: &str) -> bool {
        self.problems.as_slice().iter().all(|each| each.key != key)
    }

    /// Notes that the service itself has filled the setting `key`, and from where.
    pub fn note_filled(&mut self, key: &'static str, source: impl Into<String>) {
        self.filled.push((key, source.into()));
    }

    /// Gives the settings when neither reading nor `check` found a problem.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] with all problems and where their values came from.
    pub fn checked(mut self, check: impl FnOnce(&T, &mut Problems)) -> Result<T, ConfigError> {
        let mut found = Problems::default();
        check(&self.config, &mut found);
        // What could not be read is not judged as well.
        let judged = |problem: &Problem| self.is_sound(&problem.key);
        let judged: Vec<Problem> = found.into_iter().filter(judged).collect();
        for mut problem in judged {
            if let Some(metadata) = self.figment.find_metadata(&problem.key) {
                problem.source.get_or_insert_with(|| source_of(metadata));
            }
            self.problems.push(problem);
        }
        if self.problems.is_empty() {
            Ok(self.config)
        } else {
            name_variables(&mut self.problems, self.service.variables);
            Err(ConfigError::Invalid(self.problems))
        }
    }

    /// The settings as they are in effect, fit to be shown.
    #[must_use]
    pub fn effective(&self) -> Effective {
        let table = self.service.variables;
        let mut keys: Vec<&str> = Vec::new();
        let named = table.rows().map(|(_, key, _)| *key);
        for key in named.chain(self.known.iter().map(String::as_str)) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        // Sections stay together, in the order in which they first occur.
        let section = |key: &str| key.split_once('.').map_or("", |(of, _)| of).to_owned();
        let mut sections: Vec<String> = vec![String::new()];
        for key in &keys {
            let of = section(key);
            if !sections.contains(&of) {
                sections.push(of);
            }
        }
        keys.sort_by_key(|key| sections.iter().position(|of| *of == section(key)));
        Effective(keys.into_iter().map(|key| self.row(key)).collect())
    }

    fn row(&self, key: &str) -> EffectiveSetting {
        let table = self.service.variables;
        let filled = self.filled.iter().find(|(each, _)| *each == key);
        let found = self.figment.find_value(key).ok();
        let source = self.figment.find_metadata(key).map(source_of);
        let (value, source) = match (filled, found) {
            (Some((_, source)), _) => (Some("\"********\"".to_owned()), source.clone()),
            (None, Some(value)) => (
                Some(shown(&value, variables::kind_of(table, key))),
                source.unwrap_or_default(),
            ),
            (None, None) => (None, "nowhere".to_owned()),
        };
        EffectiveSetting {
            key: key.to_owned(),
            value,
            source,
            variable: variables::variable_of(table, key),
        }
    }
}

/// The names of all settings: those with a default, and those with a variable.
fn known(service: Service) -> BTreeSet<String> {
    let mut known: BTreeSet<String> = service
        .variables
        .rows()
        .map(|(_, key, _)| (*key).to_owned())
        .collect();
    let defaults = Toml::string(service.defaults).data().ok();
    let values = defaults.and_then(|mut profiles| profiles.remove(&Profile::Default));
    files::keys(&values.unwrap_or_else(Dict::new), "", &mut known);
    known
}

/// What figment found wrong, without the value where that may be a secret.
fn problem_of(error: &figment::Error, table: Table) -> Problem {
    let key = error.path.join(".");
    let kind = variables::kind_of(table, &key);
    let what = match &error.kind {
        _ if kind == Some(Kind::Secret) => "expected text".to_owned(),
        Fault::MissingField(field) => format!("the setting {field} is missing"),
        // Written by the service's own type, which knows what it must not show.
        Fault::Message(text) => text.clone(),
        _ if kind == Some(Kind::Address) => "expected text".to_owned(),
        fault => fault.to_string(),
    };
    let problem = Problem::new(key, what);
    match &error.metadata {
        Some(metadata) => problem.from(source_of(metadata)),
        None => problem,
    }
}

fn name_variables(problems: &mut Problems, table: Table) {
    for problem in problems.iter_mut() {
        problem.variable = variables::variable_of(table, &problem.key);
    }
}

fn source_of(metadata: &figment::Metadata) -> String {
    match &metadata.source {
        Some(source) => source.to_string(),
        None if metadata.name.starts_with("TOML") => "the built-in defaults".to_owned(),
        None => metadata.name.to_string(),
    }
}
