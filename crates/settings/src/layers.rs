//! Layers the sources of settings and turns every fault into a named problem.

use std::{
    env, fmt, fs, io,
    path::{Path, PathBuf},
};

use figment::{
    Figment,
    error::Kind as Fault,
    providers::{Format, Toml},
};
use serde::de::DeserializeOwned;

use crate::{
    problems::{Problem, Problems},
    variables::{self, Kind, Variable},
};

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
    pub variables: &'static [Variable],
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
    figment: Figment,
    problems: Problems,
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
    /// Reads the embedded defaults, the files and the environment.
    ///
    /// # Errors
    /// [`ConfigError`] when the folder cannot be listed or a value has the wrong type.
    pub fn read(service: Service, sources: &Sources) -> Result<Self, ConfigError> {
        let mut figment = Figment::from(Toml::string(service.defaults));
        for file in files(&sources.config_dir, service.name)? {
            figment = figment.merge(Toml::file_exact(file));
        }
        let (settings, bad) = variables::settings(service.variables, &sources.variables);
        for setting in settings {
            figment = figment.merge(setting);
        }
        let mut problems = Problems::default();
        for variable in bad {
            problems.push(Problem::new(variable.key, variable.what).from(variable.name));
        }
        match figment.extract() {
            Ok(config) => Ok(Self {
                config,
                service,
                figment,
                problems,
            }),
            Err(error) => {
                error
                    .into_iter()
                    .for_each(|error| problems.push(problem_of(&error, service.variables)));
                name_variables(&mut problems, service.variables);
                Err(ConfigError::Invalid(problems))
            }
        }
    }

    /// Whether each variable could be taken. A secret whose variable could not
    /// be read must not be made up or taken from elsewhere instead.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }

    /// Gives the settings when neither reading nor `check` found a problem.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] with all problems and where their values came from.
    pub fn checked(mut self, check: impl FnOnce(&T, &mut Problems)) -> Result<T, ConfigError> {
        check(&self.config, &mut self.problems);
        for problem in self.problems.iter_mut() {
            if let Some(metadata) = self.figment.find_metadata(&problem.key) {
                problem.source.get_or_insert_with(|| source_of(metadata));
            }
        }
        if self.problems.is_empty() {
            Ok(self.config)
        } else {
            name_variables(&mut self.problems, self.service.variables);
            Err(ConfigError::Invalid(self.problems))
        }
    }
}

/// `{service}.toml` first, then `{service}.*.toml` by name.
fn files(dir: &Path, service: &str) -> Result<Vec<PathBuf>, ConfigError> {
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
    let (start, first) = (format!("{service}."), format!("{service}.toml"));
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with(&start) && name.ends_with(".toml"))
        .collect();
    names.sort_by_key(|name| (*name != first, name.clone()));
    Ok(names.into_iter().map(|name| dir.join(name)).collect())
}

/// What figment found wrong, without the value where that may be a secret.
fn problem_of(error: &figment::Error, table: &[Variable]) -> Problem {
    let key = error.path.join(".");
    let is = |kind| variables::is_kind(table, &key, kind);
    let what = match &error.kind {
        _ if is(Kind::Secret) => "expected text".to_owned(),
        Fault::MissingField(field) => format!("the setting {field} is missing"),
        // Written by the service's own type, which knows what it must not show.
        Fault::Message(text) => text.clone(),
        _ if is(Kind::Address) => "expected text".to_owned(),
        fault => fault.to_string(),
    };
    let problem = Problem::new(key, what);
    match &error.metadata {
        Some(metadata) => problem.from(source_of(metadata)),
        None => problem,
    }
}

fn name_variables(problems: &mut Problems, table: &[Variable]) {
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
