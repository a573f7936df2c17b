//! Statements over many rows, and their arguments.
//!
//! One statement for a whole batch saves a round trip for each row. PostgreSQL
//! has arrays: the rows are an `unnest` of one array a column. SQLite has none,
//! so there the rows are a VALUES list; a statement exists for each power of
//! two of rows and is padded with NULL rows, so that a handful of prepared
//! statements serves every batch size.

use std::sync::{Arc, OnceLock};

use sqlx::{
    Arguments, AssertSqlSafe, Encode, Type, postgres::PgArguments, sqlite::SqliteArguments,
};

use super::Sql;

/// The most rows in one statement. A power of two, and with twelve columns far
/// below SQLite's 32,766 parameters.
pub(in crate::store) const MAX_ROWS: usize = 256;

const CLASSES: usize = MAX_ROWS.ilog2() as usize + 1;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Kind {
    Int,
    Text,
}

/// A statement over rows, for both databases.
#[derive(Debug)]
pub(in crate::store) struct RowsStatement {
    columns: &'static [Kind],
    template: &'static str,
    /// By role and size class, each made when it is first needed.
    sqlite: [[OnceLock<Arc<str>>; CLASSES]; 4],
    postgres: Arc<str>,
}

/// What a statement does beside its own work in SQLite, to save a hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Nothing.
    Plain,
    /// It begins the transaction.
    Begin,
    /// It commits the transaction.
    Commit,
    /// It is the transaction.
    Whole,
}

impl RowsStatement {
    /// In `template`, `{rows}` stands for the rows in parentheses: a table
    /// with the columns `column1` and so on. In SQLite all columns of a padding
    /// row are NULL; the statement must skip it.
    pub(in crate::store) fn new(columns: &'static [Kind], template: Sql) -> Self {
        let numbered = |make: &dyn Fn(usize, Kind) -> String| {
            let parts = columns.iter().enumerate();
            let parts: Vec<String> = parts.map(|(n, kind)| make(n + 1, *kind)).collect();
            parts.join(", ")
        };
        let arrays = numbered(&|n, kind| match kind {
            Kind::Int => format!("${n}::int8[]"),
            Kind::Text => format!("${n}::text[]"),
        });
        let names = numbered(&|n, _| format!("column{n}"));
        let rows = format!("(SELECT * FROM unnest({arrays}) AS given ({names}))");
        Self {
            columns,
            template: template.sqlite,
            sqlite: Default::default(),
            postgres: template.postgres.replace("{rows}", &rows).into(),
        }
    }

    /// The text for SQLite, with 1 << `class` rows.
    fn sqlite(&self, role: Role, class: usize) -> Arc<str> {
        let text = &self.sqlite[role as usize][class];
        let text = text.get_or_init(|| {
            let row = format!("({})", vec!["?"; self.columns.len()].join(", "));
            let rows = vec![row.as_str(); 1 << class].join(", ");
            let statement = self.template.replace("{rows}", &format!("(VALUES {rows})"));
            let (begin, commit) = match role {
                Role::Plain => ("", ""),
                Role::Begin => ("BEGIN IMMEDIATE; ", ""),
                Role::Commit => ("", "; COMMIT"),
                Role::Whole => ("BEGIN IMMEDIATE; ", "; COMMIT"),
            };
            format!("{begin}{statement}{commit}").into()
        });
        Arc::clone(text)
    }

    /// Binds `items`, at most [`MAX_ROWS`] of them, for SQLite.
    pub(super) fn bind_sqlite<T>(
        &self,
        role: Role,
        items: &[T],
        mut bind: impl FnMut(&mut Args, &T),
    ) -> (AssertSqlSafe<Arc<str>>, SqliteArguments) {
        assert!(
            (1..=MAX_ROWS).contains(&items.len()),
            "callers chunk by MAX_ROWS"
        );
        let size = items.len().next_power_of_two();
        let mut args = SqliteArguments::default();
        args.reserve(size * self.columns.len(), 0);
        let mut args = Args(Sink::Sqlite(args));
        for item in items {
            bind(&mut args, item);
        }
        for _ in 0..(size - items.len()) * self.columns.len() {
            args.push(None::<i64>);
        }
        let class = size.ilog2() as usize;
        let Sink::Sqlite(args) = args.0 else {
            unreachable!("made above");
        };
        (AssertSqlSafe(self.sqlite(role, class)), args)
    }

    /// The statement for one row in SQLite.
    #[cfg(test)]
    pub(in crate::store) fn sqlite_text(&self) -> Arc<str> {
        self.sqlite(Role::Plain, 0)
    }

    /// Binds `items` for PostgreSQL, an array a column. `trailing` is the
    /// argument behind them.
    pub(super) fn bind_postgres<T>(
        &self,
        trailing: Option<i64>,
        items: &[T],
        mut bind: impl FnMut(&mut Args, &T),
    ) -> (AssertSqlSafe<Arc<str>>, PgArguments) {
        let columns = self.columns.iter().map(|kind| match kind {
            Kind::Int => Column::Ints(Vec::with_capacity(items.len())),
            Kind::Text => Column::Texts(Vec::with_capacity(items.len())),
        });
        let mut args = Args(Sink::Postgres {
            columns: columns.collect(),
            next: 0,
        });
        for item in items {
            bind(&mut args, item);
        }
        let Sink::Postgres { columns, .. } = args.0 else {
            unreachable!("made above");
        };
        let mut args = PgArguments::default();
        for column in columns {
            match column {
                Column::Ints(values) => add(&mut args, values),
                Column::Texts(values) => {
                    let values: Vec<Option<&str>> = values
                        .iter()
                        .map(|text| text.as_ref().map(Text::as_str))
                        .collect();
                    add(&mut args, values);
                }
            }
        }
        if let Some(trailing) = trailing {
            add(&mut args, trailing);
        }
        (AssertSqlSafe(Arc::clone(&self.postgres)), args)
    }
}

fn add<'t, A: Arguments, T>(args: &mut A, value: T)
where
    T: Encode<'t, A::Database> + Type<A::Database>,
{
    args.add(value)
        .expect("integers and texts encode without error");
}

/// The values of rows, column by column, row after row.
#[derive(Debug)]
pub(in crate::store) struct Args(Sink);

#[derive(Debug)]
enum Sink {
    Sqlite(SqliteArguments),
    Postgres { columns: Vec<Column>, next: usize },
}

#[derive(Debug)]
enum Column {
    Ints(Vec<Option<i64>>),
    Texts(Vec<Option<Text>>),
}

impl Args {
    /// Adds the value of the next column.
    pub(in crate::store) fn push(&mut self, value: impl Into<Value>) -> &mut Self {
        match (&mut self.0, value.into()) {
            (Sink::Sqlite(args), Value::Int(value)) => add(args, value),
            (Sink::Sqlite(args), Value::Text(None)) => add(args, None::<&'static str>),
            (Sink::Sqlite(args), Value::Text(Some(Text::Shared(text)))) => add(args, text),
            (Sink::Sqlite(args), Value::Text(Some(Text::Owned(text)))) => add(args, text),
            (Sink::Sqlite(args), Value::Text(Some(Text::Fixed(text)))) => add(args, text),
            (Sink::Postgres { columns, next }, value) => {
                let column = *next % columns.len();
                *next = column + 1;
                match (&mut columns[column], value) {
                    (Column::Ints(values), Value::Int(value)) => values.push(value),
                    (Column::Texts(values), Value::Text(value)) => values.push(value),
                    (column, value) => unreachable!("{value:?} is none of {column:?}"),
                }
            }
        }
        self
    }
}

/// A value of a row.
#[derive(Debug)]
pub(in crate::store) enum Value {
    Int(Option<i64>),
    Text(Option<Text>),
}

#[derive(Debug)]
pub(in crate::store) enum Text {
    Shared(Arc<str>),
    Owned(String),
    Fixed(&'static str),
}

impl Text {
    fn as_str(&self) -> &str {
        match self {
            Self::Shared(text) => text,
            Self::Owned(text) => text,
            Self::Fixed(text) => text,
        }
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(Some(value))
    }
}

impl From<Option<i64>> for Value {
    fn from(value: Option<i64>) -> Self {
        Self::Int(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Int(Some(value.into()))
    }
}

impl From<Arc<str>> for Value {
    fn from(text: Arc<str>) -> Self {
        Self::Text(Some(Text::Shared(text)))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Some(Text::Owned(text)))
    }
}

impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        Self::Text(text.map(Text::Owned))
    }
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Text(Some(Text::Fixed(text)))
    }
}
