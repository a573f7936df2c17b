//! What the store costs: appends a second and CPU an append, with
//! `synchronous=FULL`, on a file in the system's temporary folder (or in
//! `STORE_BENCH_DIR`).
//!
//! With `STORE_BENCH_POSTGRES=postgres://user@host:port/database` on that
//! server instead, in databases of its own; `fsync` must be on there. The CPU
//! is this process', not the server's.
//!
//! It prints a table instead of using a benchmark harness, since what counts
//! is throughput under concurrency and the CPU time of the whole process.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use hub_api::store::{
    Append, Confirmation, Idempotency, Location, LoggedEntry, NewAnalysis, NewNotification,
    OnCommitted, Outcome, Photo, ReceiptSource, Store, StoreOptions, Stream, Terminal, UnixMillis,
};
use shared_dto::UserId;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

const USERS: i64 = 1000;

#[tokio::main(worker_threads = 2)]
async fn main() {
    // `cargo test --benches` only wants to know that it runs.
    let scale = if std::env::args().any(|arg| arg == "--bench") {
        1.0
    } else {
        0.01
    };
    if let Some(server) = server() {
        let fsync: String = sqlx::query_scalar("SHOW fsync")
            .fetch_one(&mut connect(&server).await)
            .await
            .expect("the server answers");
        assert_eq!(fsync, "on", "what is not on the disk is not written");
    }
    row(&["case", "a second", "CPU us each", "p50 ms", "p99 ms"].map(str::to_owned));
    for concurrency in [1, 64, 256, 1024] {
        let count = scaled(if concurrency == 1 { 3_000 } else { 60_000 }, scale);
        let name = format!("append, {concurrency} at once");
        closed_loop(&name, concurrency, count, |n| plain(n, None)).await;
    }
    let name = "append with key, 256 at once";
    closed_loop(name, 256, scaled(60_000, scale), |n| plain(n, Some(n))).await;
    steady(
        "append, 1,000 a second",
        Duration::from_secs_f64(10.0 * scale),
        false,
    )
    .await;
    steady(
        "append and confirm, 1,000 a second",
        Duration::from_secs_f64(10.0 * scale),
        true,
    )
    .await;
    whole_path(scaled(5_000, scale)).await;
}

/// `concurrency` callers, each with its next append as soon as the last is answered.
async fn closed_loop(
    name: &str,
    concurrency: usize,
    count: usize,
    new: impl Fn(usize) -> NewNotification + Send + Sync + 'static,
) {
    let bench = Bench::open().await;
    let new = Arc::new(new);
    let start = Measure::start();
    let callers = (0..concurrency).map(|caller| {
        let (store, new) = (bench.store.clone(), Arc::clone(&new));
        tokio::spawn(async move {
            let mut took = Vec::new();
            for n in (caller..count).step_by(concurrency) {
                took.push(timed_append(&store, new(n)).await);
            }
            took
        })
    });
    let mut took = Vec::new();
    for caller in callers.collect::<Vec<_>>() {
        took.append(&mut caller.await.expect("a caller does not panic"));
    }
    start.report(name, took);
    bench.close().await;
}

/// One append each millisecond, whatever the answers take.
async fn steady(name: &str, length: Duration, confirm: bool) {
    let bench = Bench::open().await;
    let start = Measure::start();
    let mut tick = tokio::time::interval(Duration::from_millis(1));
    let mut callers = Vec::new();
    let begin = Instant::now();
    while begin.elapsed() < length {
        tick.tick().await;
        let (store, new) = (bench.store.clone(), plain(callers.len(), None));
        callers.push(tokio::spawn(async move {
            let stream = new.stream.clone();
            let took = timed_append(&store, new).await;
            if confirm {
                let (source, at) = (ReceiptSource::Pong, UnixMillis(0));
                store.confirm(vec![Confirmation {
                    stream,
                    sequence: i64::MAX,
                    source,
                    at,
                }]);
            }
            took
        }));
    }
    let mut took = Vec::new();
    for caller in callers {
        took.push(caller.await.expect("a caller does not panic"));
    }
    start.report(name, took);
    bench.close().await;
}

/// Upload, lease and outcome of many analyses at once.
async fn whole_path(count: usize) {
    let bench = Bench::open().await;
    let start = Measure::start();
    let uploads = (0..count).map(|n| {
        let store = bench.store.clone();
        tokio::spawn(async move {
            let start = Instant::now();
            store
                .create_analysis(upload(n))
                .await
                .expect("an upload is accepted");
            start.elapsed()
        })
    });
    let mut took = Vec::new();
    for upload in uploads.collect::<Vec<_>>() {
        took.push(upload.await.expect("a caller does not panic"));
    }
    start.report("upload, all at once", took);
    let start = Measure::start();
    let mut outcomes = Vec::new();
    loop {
        let lease = Duration::from_secs(60);
        let leases = bench
            .store
            .lease_jobs("bench", 32, lease)
            .await
            .expect("jobs are leased");
        if leases.is_empty() {
            break;
        }
        outcomes.extend(leases.into_iter().map(|lease| {
            let store = bench.store.clone();
            let outcome = Outcome {
                job_id: lease.job_id,
                token: lease.token,
                terminal: Terminal::Completed(None),
            };
            let stream = Stream::of_user(&lease.user);
            let new = NewNotification {
                stream,
                outcome: Some(outcome),
                ..plain(0, None)
            };
            tokio::spawn(async move { timed_append(&store, new).await })
        }));
    }
    let mut took = Vec::new();
    for outcome in outcomes {
        took.push(outcome.await.expect("a caller does not panic"));
    }
    start.report("lease and outcome", took);
    bench.close().await;
}

async fn timed_append(store: &Store, new: NewNotification) -> Duration {
    let start = Instant::now();
    let append = store.append(new).await.expect("an append succeeds");
    assert!(matches!(append, Append::Appended(_)), "{append:?}");
    start.elapsed()
}

fn plain(n: usize, key: Option<usize>) -> NewNotification {
    let user = UserId::from(i64::try_from(n).expect("small") % USERS);
    let payload = format!(
        r#"{{"analysisId":{n},"userId":{user},"status":"Completed","completedAt":"2027-01-15T08:00:00Z","cropType":"wheat","primaryConcern":"Rust-coloured pustules on 10 % of the leaf","overallHealthScore":64,"imageUrl":"/api/v1/plantanalyses/{n}/image","deepLink":"app://analysis/{n}"}}"#
    );
    NewNotification {
        stream: Stream::of_user(&user),
        event: "ReceiveAnalysisCompleted".into(),
        payload: payload.into(),
        analysis_id: None,
        idempotency: key.map(|key| Idempotency {
            scope: "notify".into(),
            key: format!("0192f0c1-7a3e-7c3f-9d2b-{key:012}"),
            body_hash: format!("{key:064x}"),
        }),
        outcome: None,
        trace: None,
    }
}

fn upload(n: usize) -> NewAnalysis {
    NewAnalysis {
        user: UserId::from(i64::try_from(n).expect("small") % USERS),
        crop_type: Some("wheat".into()),
        notes: None,
        photo: Photo::Stored {
            key: format!("photo-{n}"),
            media_type: "image/jpeg".into(),
        },
        idempotency: None,
        trace_context: None,
    }
}

struct Bench {
    store: Store,
    writer: hub_api::store::WriterTask,
    _folder: tempfile::TempDir,
    /// The server and the database on it.
    on_server: Option<(String, String)>,
}

impl Bench {
    async fn open() -> Self {
        let place =
            std::env::var_os("STORE_BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
        let folder = tempfile::tempdir_in(place).expect("a temporary folder can be made");
        let hook: OnCommitted = Box::new(|entries: &[LoggedEntry]| vec![1; entries.len()]);
        let on_server = match server() {
            Some(server) => Some(new_database(server).await),
            None => None,
        };
        let location = match &on_server {
            Some((server, name)) => {
                let (start, _) = server
                    .rsplit_once('/')
                    .expect("an address names a database");
                Location::parse(&format!("{start}/{name}")).expect("an address of PostgreSQL")
            }
            None => Location::Sqlite(folder.path().join("hub.db")),
        };
        let options = StoreOptions {
            patience: Duration::from_secs(60),
            ..StoreOptions::on(location)
        };
        let (store, writer) = Store::open(options, hook)
            .await
            .expect("a new database opens");
        Self {
            store,
            writer,
            _folder: folder,
            on_server,
        }
    }

    async fn close(self) {
        self.store.close().await;
        self.writer.await.expect("the writer ends well");
        drop(self.store);
        if let Some((server, name)) = self.on_server {
            let drop = format!("DROP DATABASE {name} WITH (FORCE)");
            run(&server, drop).await;
        }
    }
}

fn server() -> Option<String> {
    std::env::var("STORE_BENCH_POSTGRES").ok()
}

async fn connect(server: &str) -> PgConnection {
    PgConnection::connect(server)
        .await
        .expect("the server can be reached")
}

async fn run(server: &str, sql: String) {
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(&mut connect(server).await)
        .await
        .expect("the server carries it out");
}

async fn new_database(server: String) -> (String, String) {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("store_bench_{}_{count}", std::process::id());
    run(&server, format!("CREATE DATABASE {name}")).await;
    (server, name)
}

struct Measure {
    wall: Instant,
    cpu: Duration,
}

impl Measure {
    fn start() -> Self {
        Self {
            wall: Instant::now(),
            cpu: cpu_time(),
        }
    }

    fn report(self, name: &str, mut took: Vec<Duration>) {
        let wall = self.wall.elapsed().as_secs_f64();
        let cpu = (cpu_time() - self.cpu).as_secs_f64();
        took.sort_unstable();
        let ops = took.len() as f64;
        let quantile = |q: f64| {
            let index = (took.len() as f64 * q) as usize;
            took.get(index)
                .map_or(String::new(), |d| format!("{:.2}", d.as_secs_f64() * 1e3))
        };
        row(&[
            name.to_owned(),
            format!("{:.0}", ops / wall),
            format!("{:.1}", cpu * 1e6 / ops),
            quantile(0.5),
            quantile(0.99),
        ]);
    }
}

/// User and system time of all threads of this process so far.
fn cpu_time() -> Duration {
    // proc(5): after the name in parentheses, utime and stime are the 12th and
    // 13th field, in ticks, of which every Linux has 100 a second.
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace();
    let ticks: u64 = fields
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Duration::from_millis(ticks * 10)
}

fn scaled(count: usize, scale: f64) -> usize {
    ((count as f64 * scale) as usize).max(1)
}

#[expect(
    clippy::print_stdout,
    reason = "a table is all that this program is for"
)]
fn row(cells: &[String; 5]) {
    println!(
        "{:<36} {:>10} {:>12} {:>8} {:>8}",
        cells[0], cells[1], cells[2], cells[3], cells[4]
    );
}
