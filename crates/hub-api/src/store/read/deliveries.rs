//! The notification log across all users, for an operator.

use crate::store::{
    DeliveriesPage, Delivery, DeliveryFilter, StoreError, Stream, UnixMillis,
    database::{Conn, Sql, columns, run},
    decode::count_from_row,
};

/// The most rows of a page.
const MAX_PAGE: u32 = 1000;

/// Entries that one page looks through: what is rare is found over several
/// pages, and never by one statement that reads the whole log.
const WINDOW: usize = 2_000;

const OWNER: Sql = Sql::same("SELECT user_id FROM analyses WHERE id = $1");

/// The newest entries before an id, of everybody.
const OF_ALL: Sql = Sql::same(
    "SELECT id, stream, sequence, event, analysis_id, created_at, attempts, attempted_at,
            confirmed_at, receipt_source
     FROM log WHERE id < $1 ORDER BY id DESC LIMIT $2",
);

/// The same of one stream, where ids follow the sequence.
const OF_STREAM: Sql = Sql::same(
    "SELECT id, stream, sequence, event, analysis_id, created_at, attempts, attempted_at,
            confirmed_at, receipt_source
     FROM log WHERE stream = $3 AND id < $1 ORDER BY sequence DESC LIMIT $2",
);

columns!(DeliveryRow {
    id: i64,
    stream: String,
    sequence: i64,
    event: String,
    analysis_id: Option<i64>,
    created_at: i64,
    attempts: i64,
    attempted_at: Option<i64>,
    confirmed_at: Option<i64>,
    receipt_source: Option<String>,
});

pub(in crate::store) async fn deliveries(
    mut conn: Conn<'_>,
    filter: &DeliveryFilter,
) -> Result<DeliveriesPage, StoreError> {
    let limit = filter.limit.clamp(1, MAX_PAGE) as usize;
    let before = filter.before.unwrap_or(i64::MAX);
    let narrows = filter.analysis_id.is_some() || filter.outcome.is_some();
    let window = if narrows { WINDOW } else { limit + 1 };
    let rows = i64::try_from(window).expect("a window is small");
    let stream = match (&filter.user, filter.analysis_id) {
        (Some(user), _) => Some(Stream::of_user(user)),
        (None, Some(analysis_id)) => owner(conn.again(), analysis_id).await?,
        (None, None) => None,
    };
    let rows: Vec<DeliveryRow> = match &stream {
        Some(stream) => run!(conn, OF_STREAM, [before, rows, stream.as_str()], fetch_all)?,
        // Nobody is known to own that analysis.
        None if filter.analysis_id.is_some() => Vec::new(),
        None => run!(conn, OF_ALL, [before, rows], fetch_all)?,
    };
    Ok(page(rows, filter, (limit, window)))
}

async fn owner(conn: Conn<'_>, analysis_id: i64) -> Result<Option<Stream>, StoreError> {
    let found: Option<(String,)> = run!(conn, OWNER, [analysis_id], fetch_optional)?;
    found
        .map(|(user,)| Ok(Stream::of_user(&crate::store::user_from_row(&user)?)))
        .transpose()
}

fn page(
    rows: Vec<DeliveryRow>,
    filter: &DeliveryFilter,
    (limit, window): (usize, usize),
) -> DeliveriesPage {
    let window_was_full = rows.len() == window;
    let last = rows.last().map(|row| row.id);
    let mut found = rows.into_iter().map(delivery).filter(|delivery| {
        filter
            .analysis_id
            .is_none_or(|id| delivery.analysis_id == Some(id))
            && filter
                .outcome
                .is_none_or(|outcome| delivery.outcome() == outcome)
    });
    let items: Vec<Delivery> = found.by_ref().take(limit).collect();
    let next_before = match found.next() {
        Some(_) => items.last().map(|item| item.notification_id),
        None => last.filter(|_| window_was_full),
    };
    DeliveriesPage { items, next_before }
}

fn delivery(row: DeliveryRow) -> Delivery {
    // What is confirmed at once is not counted: it was sent once.
    let sent = u32::from(row.confirmed_at.is_some());
    Delivery {
        notification_id: row.id,
        user: Stream::from_row(row.stream).user(),
        sequence: row.sequence,
        event: row.event,
        analysis_id: row.analysis_id,
        created_at: UnixMillis(row.created_at),
        attempts: count_from_row(row.attempts).max(sent),
        attempted_at: row.attempted_at.map(UnixMillis),
        confirmed_at: row.confirmed_at.map(UnixMillis),
        receipt_source: row.receipt_source,
    }
}
