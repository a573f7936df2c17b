//! Statements over many rows, and their arguments.
//!
//! One statement for a whole batch saves a hop to the database's thread for
//! each row. SQLite has no arrays, so the rows are a VALUES list; a statement
//! exists for each power of two of rows and is padded with NULL rows, so that
//! a handful of prepared statements serves every batch size.

use std::sync::Arc;

use sqlx::{
    Arguments, AssertSqlSafe, Encode, Sqlite, SqliteConnection, Type,
    sqlite::{SqliteArguments, SqliteRow},
};

use crate::store::StoreError;

/// The most rows in one statement. A power of two, and with nine columns far
/// below SQLite's 32,766 parameters.
pub(super) const MAX_ROWS: usize = 256;

const CLASSES: usize = MAX_ROWS.ilog2() as usize + 1;

/// A statement over rows, prepared for each size class.
#[derive(Debug)]
pub(super) struct RowsStatement {
    columns: usize,
    sql: [Arc<str>; CLASSES],
}

impl RowsStatement {
    /// In `template`, `{rows}` stands for the rows in parentheses: a table
    /// with the columns `column1` and so on. All columns of a padding row are
    /// NULL; the statement must skip it.
    pub(super) fn new(columns: usize, template: &str) -> Self {
        let row = format!("({})", vec!["?"; columns].join(", "));
        let sql = std::array::from_fn(|class| {
            let rows = vec![row.as_str(); 1 << class].join(", ");
            template
                .replace("{rows}", &format!("(VALUES {rows})"))
                .into()
        });
        Self { columns, sql }
    }

    /// Binds `items`, at most [`MAX_ROWS`] of them, after what `args` holds already.
    pub(super) fn bind<T>(
        &self,
        mut args: Args,
        items: &[T],
        mut bind: impl FnMut(&mut Args, &T),
    ) -> (AssertSqlSafe<Arc<str>>, Args) {
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
        (AssertSqlSafe(Arc::clone(&self.sql[class])), args)
    }

    /// Runs the statement over `items`, for its effect.
    pub(super) async fn execute<T>(
        &self,
        conn: &mut SqliteConnection,
        items: &[T],
        bind: impl FnMut(&mut Args, &T) + Copy,
    ) -> Result<(), StoreError> {
        for chunk in items.chunks(MAX_ROWS) {
            let (sql, args) = self.bind(Args::default(), chunk, bind);
            sqlx::query_with(sql, args.0).execute(&mut *conn).await?;
        }
        Ok(())
    }

    /// Runs the statement over `items` and gives back its rows, in no order.
    pub(super) async fn fetch<T>(
        &self,
        conn: &mut SqliteConnection,
        items: &[T],
        bind: impl FnMut(&mut Args, &T) + Copy,
    ) -> Result<Vec<SqliteRow>, StoreError> {
        let mut rows = Vec::new();
        for chunk in items.chunks(MAX_ROWS) {
            let (sql, args) = self.bind(Args::default(), chunk, bind);
            rows.append(&mut sqlx::query_with(sql, args.0).fetch_all(&mut *conn).await?);
        }
        Ok(rows)
    }
}

/// Arguments in the order of the statement's `?`.
#[derive(Debug, Default)]
pub(super) struct Args(pub(super) SqliteArguments);

impl Args {
    /// Adds one argument.
    pub(super) fn push<'t, T: Encode<'t, Sqlite> + Type<Sqlite>>(&mut self, value: T) -> &mut Self {
        self.0
            .add(value)
            .expect("integers and texts encode without error");
        self
    }
}
