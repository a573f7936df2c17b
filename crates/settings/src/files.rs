//! The files of a service: which there are, and what stands in them. A key that
//! is no setting is left out and told, so that it hides nothing else that is wrong.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use figment::{
    Error, Metadata, Profile, Provider, Source,
    error::Kind as Fault,
    providers::{Format, Toml},
    value::{Dict, Map, Value},
};

use crate::{layers::ConfigError, nearest::nearest, problems::Problem};

/// `{service}.toml` first, then `{service}.*.toml` by name.
pub(crate) fn files(dir: &Path, service: &str) -> Result<Vec<PathBuf>, ConfigError> {
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

/// What one file says.
#[derive(Debug)]
pub(crate) struct File {
    path: PathBuf,
    values: Dict,
}

impl Provider for File {
    fn metadata(&self) -> Metadata {
        Metadata::from("TOML file", Source::File(self.path.clone()))
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
}

/// Reads a file. What is not in `known` is left out and told with the nearest
/// name that is.
pub(crate) fn read(path: PathBuf, known: &BTreeSet<String>) -> (File, Vec<Problem>) {
    let source = path.display().to_string();
    let mut problems = Vec::new();
    let values = match Toml::file_exact(&path).data() {
        Ok(mut profiles) => profiles.remove(&Profile::Default).unwrap_or_default(),
        Err(error) => {
            problems.push(Problem::new("file", unreadable(&error)).from(source.clone()));
            Dict::new()
        }
    };
    let mut unknown = Vec::new();
    let values = only_known(values, "", known, &mut unknown);
    problems.extend(unknown.into_iter().map(|key| {
        let what = match nearest(&key, known.iter().map(String::as_str)) {
            Some(meant) => format!("is no setting; did you mean {meant}?"),
            None => "is no setting".to_owned(),
        };
        Problem::new(key, what).from(source.clone())
    }));
    (File { path, values }, problems)
}

/// Only the place of the fault: the parser also shows the line, which may hold a secret.
fn unreadable(error: &Error) -> String {
    match &error.kind {
        Fault::Message(text) => text.lines().next().unwrap_or("is no TOML").to_owned(),
        _ => "cannot be read".to_owned(),
    }
}

fn only_known(
    values: Dict,
    section: &str,
    known: &BTreeSet<String>,
    unknown: &mut Vec<String>,
) -> Dict {
    let mut kept = Dict::new();
    for (name, value) in values {
        let key = match section {
            "" => name.clone(),
            section => format!("{section}.{name}"),
        };
        let begins = format!("{key}.");
        let is_section = known.iter().any(|each| each.starts_with(&begins));
        match value {
            _ if known.contains(&key) => {
                kept.insert(name, value);
            }
            Value::Dict(tag, inner) if is_section => {
                let inner = only_known(inner, &key, known, unknown);
                kept.insert(name, Value::Dict(tag, inner));
            }
            // Each setting of a section that is none is named, to be found again.
            Value::Dict(_, inner) if !inner.is_empty() => {
                only_known(inner, &key, known, unknown);
            }
            _ => unknown.push(key),
        }
    }
    kept
}

/// The names of all settings below `values`.
pub(crate) fn keys(values: &Dict, section: &str, into: &mut BTreeSet<String>) {
    for (name, value) in values {
        let key = match section {
            "" => name.clone(),
            section => format!("{section}.{name}"),
        };
        match value {
            Value::Dict(_, inner) => keys(inner, &key, into),
            _ => {
                into.insert(key);
            }
        }
    }
}
