//! Statements over many rows, and their arguments.
//!
//! One statement for a whole batch saves a hop to the database's thread for
//! each row. SQLite has no arrays, so the rows are a VALUES list; a statement
//! exists for each power of two of rows and is padded with NULL rows, so that
//! a handful of prepared statements serves every batch size.

use std::sync::Arc;

use sqlx::{Arguments, AssertSqlSafe, Encode, Sqlite, Type, sqlite::SqliteArguments};

/// The most rows in one statement. A power of two, and with nine columns far
/// below SQLite's 32,766 parameters.
pub(super) const MAX_ROWS: usize = 256;

const CLASSES: usize = MAX_ROWS.ilog2() as usize + 1;

/// A statement over rows, prepared for each size class.
#[derive(Debug)]
pub(super) struct RowsStatement {
    columns: usize,
    sql: [[Arc<str>; CLASSES]; 3],
}

/// What a statement does beside its own work, to save a hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Nothing.
    Plain,
    /// It begins the transaction.
    Begin,
    /// It commits the transaction.
    Commit,
}

impl RowsStatement {
    /// In `template`, `{rows}` stands for the rows in parentheses: a table
    /// with the columns `column1` and so on. All columns of a padding row are
    /// NULL; the statement must skip it.
    pub(super) fn new(columns: usize, template: &str) -> Self {
        let row = format!("({})", vec!["?"; columns].join(", "));
        let sized = |class: usize| {
            let rows = vec![row.as_str(); 1 << class].join(", ");
            template.replace("{rows}", &format!("(VALUES {rows})"))
        };
        let sql = [
            std::array::from_fn(|class| sized(class).into()),
            std::array::from_fn(|class| format!("BEGIN IMMEDIATE; {}", sized(class)).into()),
            std::array::from_fn(|class| format!("{}; COMMIT", sized(class)).into()),
        ];
        Self { columns, sql }
    }

    /// Binds `items`, at most [`MAX_ROWS`] of them, after what `args` holds already.
    pub(super) fn bind<T>(
        &self,
        role: Role,
        mut args: Args,
        items: &[T],
        mut bind: impl FnMut(&mut Args, &T),
    ) -> (AssertSqlSafe<Arc<str>>, SqliteArguments) {
        assert!(
            (1..=MAX_ROWS).contains(&items.len()),
            "callers chunk by MAX_ROWS"
        );
        let size = items.len().next_power_of_two();
        args.0.reserve(size * self.columns, 0);
        for item in items {
            bind(&mut args, item);
        }
        for _ in 0..(size - items.len()) * self.columns {
            args.push(None::<i64>);
        }
        let class = size.ilog2() as usize;
        (
            AssertSqlSafe(Arc::clone(&self.sql[role as usize][class])),
            args.0,
        )
    }
}

/// Arguments in the order of the statement's `?`.
#[derive(Debug, Default)]
pub(super) struct Args(SqliteArguments);

impl Args {
    /// Adds one argument.
    pub(super) fn push<'t, T: Encode<'t, Sqlite> + Type<Sqlite>>(&mut self, value: T) -> &mut Self {
        self.0
            .add(value)
            .expect("integers and texts encode without error");
        self
    }
}
