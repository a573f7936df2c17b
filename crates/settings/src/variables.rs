//! Which environment variable is which setting, and how its text is read.
//!
//! Names are compared without regard to case, as .NET does; an empty variable
//! counts as absent. Where several variables are the same setting, the first
//! in the table wins.

use std::fs;

use figment::{
    Error, Metadata, Profile, Provider,
    value::{Dict, Map, Value},
};

/// A row of a service's table: the variable, its setting, and how it is read.
pub type Variable = (&'static str, &'static str, Kind);

/// The table of a service, in groups, of which some are those of parts that
/// several services have.
#[derive(Debug, Clone, Copy)]
pub struct Table(pub &'static [&'static [Variable]]);

impl Table {
    pub(crate) fn rows(self) -> impl DoubleEndedIterator<Item = &'static Variable> {
        self.0.iter().flat_map(|group| group.iter())
    }
}

/// How the text of a variable becomes a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// As it stands.
    Text,
    /// Also as `NAME_FILE`. It may hold a password or a key, so that only its
    /// host is ever shown.
    Address,
    /// A number, or text with a unit.
    Number,
    /// A host name, of which an https address is made.
    Domain,
    /// Also as `NAME_FILE`, which points to a file that holds it; never shown.
    Secret,
    /// `NAME__0`, `NAME__1` and so on; or `NAME` with commas.
    List,
}

use Kind::{Address, Domain, List, Number, Secret, Text};

/// The variable that an operator would set for `key`.
pub(crate) fn variable_of(table: Table, key: &str) -> Option<&'static str> {
    table
        .rows()
        .find(|(_, of, _)| *of == key)
        .map(|(name, _, _)| *name)
}

/// How `key` is read.
pub(crate) fn kind_of(table: Table, key: &str) -> Option<Kind> {
    let mut rows = table.rows();
    rows.find(|(_, of, _)| *of == key).map(|(_, _, kind)| *kind)
}

/// A variable that cannot be taken as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadVariable {
    pub(crate) name: String,
    pub(crate) key: &'static str,
    pub(crate) what: String,
}

/// One setting that the environment gives.
#[derive(Clone)]
pub(crate) struct Setting {
    source: String,
    key: String,
    value: Value,
}

impl Setting {
    /// The default, in place of a value that cannot be taken.
    pub(crate) fn from_defaults(key: &str, value: Value) -> Self {
        Self {
            source: "the built-in defaults".to_owned(),
            key: key.to_owned(),
            value,
        }
    }
}

impl Provider for Setting {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.source.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        let nested = figment::util::nest(&self.key, self.value.clone());
        let dict = nested.into_dict().unwrap_or_default();
        Ok(Profile::Default.collect(dict))
    }
}

/// Picks the known variables out of `variables`. What comes later in the
/// result wins.
pub(crate) fn settings(
    table: Table,
    variables: &[(String, String)],
) -> (Vec<Setting>, Vec<BadVariable>) {
    let (mut settings, mut bad) = (Vec::new(), Vec::new());
    for &(name, key, kind) in table.rows().rev() {
        match read(variables, name, kind) {
            Ok(Some((name, value))) => settings.push(Setting {
                source: format!("environment variable {name}"),
                key: key.to_owned(),
                value,
            }),
            Ok(None) => {}
            Err((name, what)) => bad.push(BadVariable { name, key, what }),
        }
    }
    (settings, bad)
}

type Found = Option<(String, Value)>;

fn read(variables: &[(String, String)], name: &str, kind: Kind) -> Result<Found, (String, String)> {
    let direct = find(variables, name);
    Ok(match kind {
        Text => direct.map(|(name, text)| (name, Value::from(text))),
        Number => direct.map(|(name, text)| (name, number(&text))),
        Domain => direct.map(|(name, text)| (name, Value::from(format!("https://{text}")))),
        Secret | Address => or_file(variables, name, direct)?,
        List => list(variables, name, direct),
    })
}

/// The variable as it is spelt in the environment, and its text.
fn find(variables: &[(String, String)], name: &str) -> Option<(String, String)> {
    variables
        .iter()
        .find(|(given, text)| given.eq_ignore_ascii_case(name) && !text.trim().is_empty())
        .map(|(given, text)| (given.clone(), text.trim().to_owned()))
}

fn number(text: &str) -> Value {
    if let Ok(whole) = text.parse::<i64>() {
        Value::from(whole)
    } else if let Ok(broken) = text.parse::<f64>() {
        Value::from(broken)
    } else {
        Value::from(text)
    }
}

fn or_file(
    variables: &[(String, String)],
    name: &str,
    direct: Option<(String, String)>,
) -> Result<Found, (String, String)> {
    let Some((file_name, path)) = find(variables, &format!("{name}_FILE")) else {
        return Ok(direct.map(|(name, text)| (name, Value::from(text))));
    };
    if direct.is_some() {
        return Err((
            file_name,
            format!("{name} is set as well; keep one of the two"),
        ));
    }
    match fs::read_to_string(&path) {
        Ok(text) if text.trim().is_empty() => Err((file_name, format!("the file {path} is empty"))),
        Ok(text) => Ok(Some((file_name, Value::from(text.trim().to_owned())))),
        Err(error) => Err((
            file_name,
            format!("the file {path} cannot be read: {error}"),
        )),
    }
}

fn list(variables: &[(String, String)], name: &str, direct: Option<(String, String)>) -> Found {
    let mut indexed: Vec<(u32, &str)> = variables
        .iter()
        .filter_map(|(given, text)| {
            let (head, index) = given.rsplit_once("__")?;
            let wanted = head.eq_ignore_ascii_case(name) && !text.trim().is_empty();
            wanted.then_some((index.parse().ok()?, text.trim()))
        })
        .collect();
    if indexed.is_empty() {
        let (name, text) = direct?;
        let items: Vec<&str> = text
            .split(',')
            .map(str::trim)
            .filter(|i| !i.is_empty())
            .collect();
        return Some((name, Value::from(items)));
    }
    indexed.sort_by_key(|(index, _)| *index);
    let items: Vec<&str> = indexed.into_iter().map(|(_, text)| text).collect();
    Some((format!("{name}__0.."), Value::from(items)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[Variable] = &[
        ("Jwt__Secret", "jwt.secret", Secret),
        ("ZIRAAI_INTERNAL_SECRET", "internal.secret", Secret),
        ("WebAPI__InternalSecret", "internal.secret", Secret),
        ("Security__AllowedInternalIPs", "internal.allowed_ips", List),
        ("Cors__AllowedOrigins", "cors.allowed_origins", List),
    ];

    fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect()
    }

    fn settings(variables: &[(String, String)]) -> (Vec<Setting>, Vec<BadVariable>) {
        super::settings(Table(&[TABLE]), variables)
    }

    fn last<'a>(settings: &'a [Setting], key: &str) -> &'a Value {
        &settings.iter().rfind(|s| s.key == key).unwrap().value
    }

    #[test]
    fn names_ignore_case_and_lists_are_in_the_order_of_their_index() {
        let (settings, bad) = settings(&variables(&[
            ("webapi__internalsecret", "abc"),
            ("CORS__ALLOWEDORIGINS__10", "https://c"),
            ("Cors__AllowedOrigins__0", "https://a"),
            ("cors__allowedorigins__2", "https://b"),
            ("Security__AllowedInternalIPs", "10.0.0.0/8, ::1"),
            ("UNKNOWN", "1"),
        ]));
        assert!(bad.is_empty());
        assert_eq!(last(&settings, "internal.secret").as_str(), Some("abc"));
        let origins = last(&settings, "cors.allowed_origins")
            .as_array()
            .unwrap()
            .to_vec();
        let origins: Vec<_> = origins.iter().filter_map(|v| v.as_str()).collect();
        assert_eq!(origins, ["https://a", "https://b", "https://c"]);
        assert_eq!(
            last(&settings, "internal.allowed_ips")
                .as_array()
                .unwrap()
                .len(),
            2
        );
    }

    #[test]
    fn the_first_name_in_the_table_wins_and_empty_is_absent() {
        let both = [
            ("WebAPI__InternalSecret", "second"),
            ("ZIRAAI_INTERNAL_SECRET", "first"),
        ];
        let (both, _) = settings(&variables(&both));
        assert_eq!(last(&both, "internal.secret").as_str(), Some("first"));
        let empty = [
            ("WebAPI__InternalSecret", "second"),
            ("ZIRAAI_INTERNAL_SECRET", " "),
        ];
        let (empty, _) = settings(&variables(&empty));
        assert_eq!(last(&empty, "internal.secret").as_str(), Some("second"));
    }

    #[test]
    fn a_secret_comes_from_a_file_but_not_from_two_places() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("jwt");
        fs::write(&file, "from the file\n").unwrap();
        let path = file.to_str().unwrap();
        let (good, bad) = settings(&variables(&[("Jwt__Secret_FILE", path)]));
        assert!(bad.is_empty());
        assert_eq!(last(&good, "jwt.secret").as_str(), Some("from the file"));
        let twice = [("Jwt__Secret_FILE", path), ("Jwt__Secret", "x")];
        assert_eq!(settings(&variables(&twice)).1.len(), 1);
        let absent = [("Jwt__Secret_FILE", "/nonexistent/secret")];
        assert_eq!(settings(&variables(&absent)).1[0].name, "Jwt__Secret_FILE");
    }
}
