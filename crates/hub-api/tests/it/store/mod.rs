//! The store through its public surface, on a real database for each test: the
//! same stories on SQLite and on PostgreSQL.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use hub_api::store::{
    Append, Appended, Clock, Created, Heartbeat, Idempotency, Lease, Location, LoggedEntry,
    NewAnalysis, NewNotification, Outcome, Photo, Retry, Store, StoreOptions, Stream, Terminal,
    UnixMillis, WriterTask,
};
use private_services::Postgres;
use shared_dto::{UserId, analysis::AnalysisResult};
use sqlx::{ConnectOptions, Connection, PgConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

mod sqlite;
#[expect(
    clippy::duplicate_mod,
    reason = "the same stories are told on both databases"
)]
mod postgres;

/// 2027-01-15 08:00:00 UTC.
const START: UnixMillis = UnixMillis(1_800_000_000_000);

const LEASE: Duration = Duration::from_secs(30);

/// An empty database of a test's own.
#[derive(Clone)]
enum Place {
    File(Arc<TempDir>),
    Server(String),
}

impl Place {
    fn file() -> Self {
        Self::File(Arc::new(tempfile::tempdir().unwrap()))
    }

    async fn server() -> Self {
        Self::Server(Postgres::shared().await.new_database().await)
    }

    fn location(&self) -> Location {
        match self {
            Self::File(folder) => Location::Sqlite(folder.path().join("hub.db")),
            Self::Server(url) => Location::parse(url).unwrap(),
        }
    }

    fn options(&self, clock: &Clock) -> StoreOptions {
        StoreOptions {
            clock: clock.clone(),
            ..StoreOptions::on(self.location())
        }
    }
}

/// An open store, its clock, and what its delivery hook got.
struct Db {
    place: Place,
    store: Store,
    writer: WriterTask,
    clock: Clock,
    delivered: Arc<Mutex<Vec<LoggedEntry>>>,
}

impl Db {
    async fn on(place: Place) -> Self {
        let options = place.options(&Clock::manual(START));
        Self::with(place, options).await
    }

    async fn with(place: Place, options: StoreOptions) -> Self {
        let clock = options.clock.clone();
        let (store, writer, delivered) = open_with(options).await;
        Self {
            place,
            store,
            writer,
            clock,
            delivered,
        }
    }

    /// Closes the store and opens the same database again.
    async fn reopen(self) -> Self {
        self.store.close().await;
        self.writer.await.unwrap();
        let (store, writer, delivered) = open_at(&self.place, &self.clock).await;
        Self {
            store,
            writer,
            delivered,
            place: self.place,
            clock: self.clock,
        }
    }

    fn options(&self) -> StoreOptions {
        self.place.options(&self.clock)
    }

    /// Runs statements behind the store's back.
    async fn sabotage(&self, sqlite: &'static str, postgres: &'static str) {
        match &self.place {
            Place::File(folder) => {
                let path = folder.path().join("hub.db");
                let options = SqliteConnectOptions::new().filename(path);
                let mut conn = options.connect().await.unwrap();
                sqlx::raw_sql(sqlite).execute(&mut conn).await.unwrap();
                conn.close().await.unwrap();
            }
            Place::Server(url) => {
                let mut conn = PgConnection::connect(url).await.unwrap();
                sqlx::raw_sql(postgres).execute(&mut conn).await.unwrap();
                conn.close().await.unwrap();
            }
        }
    }

    async fn upload(&self, user: i64) -> i64 {
        match self.store.create_analysis(upload_of(user)).await.unwrap() {
            Created::Created { analysis_id } => analysis_id,
            other => panic!("{other:?}"),
        }
    }

    async fn lease(&self) -> Lease {
        self.try_lease().await.expect("a job is ready")
    }

    async fn try_lease(&self) -> Option<Lease> {
        self.store
            .lease_jobs("worker-a", 1, LEASE)
            .await
            .unwrap()
            .pop()
    }

    async fn append(&self, new: NewNotification) -> Append {
        self.store.append(new).await.unwrap()
    }

    async fn head(&self, user: i64) -> i64 {
        self.store.stream_state(&stream(user)).await.unwrap().head
    }

    /// Event and sequence of all that is in a user's log.
    async fn logged(&self, user: i64) -> Vec<(i64, String)> {
        let page = self.store.entries(&stream(user), 0, 1000).await.unwrap();
        page.entries
            .iter()
            .map(|entry| (entry.sequence, entry.event.to_string()))
            .collect()
    }

    fn delivered(&self) -> Vec<LoggedEntry> {
        self.delivered.lock().unwrap().clone()
    }
}

type Delivered = Arc<Mutex<Vec<LoggedEntry>>>;

async fn open_at(place: &Place, clock: &Clock) -> (Store, WriterTask, Delivered) {
    open_with(place.options(clock)).await
}

async fn open_with(options: StoreOptions) -> (Store, WriterTask, Delivered) {
    let delivered = Delivered::default();
    let sink = Arc::clone(&delivered);
    let hook = move |entries: &[LoggedEntry]| {
        sink.lock().unwrap().extend_from_slice(entries);
        // Each entry reaches as many connections as its sequence says.
        entries
            .iter()
            .map(|entry| usize::try_from(entry.sequence).unwrap())
            .collect()
    };
    let (store, writer) = Store::open(options, Box::new(hook)).await.unwrap();
    (store, writer, delivered)
}

fn stream(user: i64) -> Stream {
    Stream::of_user(&UserId::from(user))
}

fn upload_of(user: i64) -> NewAnalysis {
    NewAnalysis {
        user: UserId::from(user),
        crop_type: Some("wheat".into()),
        notes: None,
        photo: Photo::Stored {
            key: format!("photo-{user}"),
            media_type: "image/jpeg".into(),
        },
        idempotency: None,
        trace_context: None,
    }
}

fn plain(user: i64, event: &str) -> NewNotification {
    NewNotification {
        stream: stream(user),
        event: event.into(),
        payload: r#"{"n":1}"#.into(),
        analysis_id: None,
        idempotency: None,
        outcome: None,
        trace: None,
    }
}

fn keyed(user: i64, event: &str, key: &str, body_hash: &str) -> NewNotification {
    NewNotification {
        idempotency: Some(idempotency("notify", key, body_hash)),
        ..plain(user, event)
    }
}

fn idempotency(scope: &str, key: &str, body_hash: &str) -> Idempotency {
    Idempotency {
        scope: scope.into(),
        key: key.into(),
        body_hash: body_hash.into(),
    }
}

fn completed(user: i64, lease: &Lease) -> NewNotification {
    let result = AnalysisResult {
        overall_health_score: Some(81),
        ..AnalysisResult::default()
    };
    let terminal = Terminal::Completed(Some(Box::new(result)));
    outcome(user, "ReceiveAnalysisCompleted", lease, terminal)
}

fn failed(user: i64, lease: &Lease) -> NewNotification {
    outcome(
        user,
        "ReceiveAnalysisFailed",
        lease,
        Terminal::Failed("No plant found".into()),
    )
}

fn outcome(user: i64, event: &str, lease: &Lease, terminal: Terminal) -> NewNotification {
    let outcome = Outcome {
        job_id: lease.job_id,
        token: lease.token.clone(),
        terminal,
    };
    NewNotification {
        outcome: Some(outcome),
        ..plain(user, event)
    }
}

fn beat(lease: &Lease) -> Heartbeat {
    Heartbeat {
        job_id: lease.job_id,
        token: lease.token.clone(),
        lease: LEASE,
        progress: None,
        park: None,
        owner: None,
    }
}

fn give_back(lease: &Lease) -> Retry {
    Retry {
        job_id: lease.job_id,
        token: lease.token.clone(),
        error: "502 from n8n".into(),
        user_message: "The analysis service did not answer.".into(),
        retry_after: None,
        hand_back: false,
    }
}

fn appended(append: Append) -> Appended {
    match append {
        Append::Appended(appended) => appended,
        other => panic!("{other:?}"),
    }
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}
