//! However a test process ends, its servers and their folders go.
//!
//! The process that ends is this test binary again, running one test only.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use private_services::{Postgres, RabbitMq, Redis};

/// Tells the test that holds servers how to end. Without it that test does nothing.
const HOW: &str = "PRIVATE_SERVICES_TEST_ENDS";
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn holds_servers_until_it_ends() {
    let Ok(how) = std::env::var(HOW) else {
        return;
    };
    let mut postgres = Postgres::start().await.unwrap();
    let redis = Redis::start().await.unwrap();
    let broker = RabbitMq::start().await.unwrap();
    let _session = sqlx::PgPool::connect(&postgres.new_database().await)
        .await
        .unwrap();
    // Frozen processes must go, too.
    postgres.process.freeze().await.unwrap();
    let ports = [postgres.port(), redis.port(), broker.port()];
    println!("holding {ports:?} as {}", std::process::id());
    match how.as_str() {
        "drop" => {}
        "panic" => panic!("as it was told"),
        _ => std::future::pending().await,
    }
}

#[test]
fn nothing_is_left_of_a_test_that_returns() {
    leaves_nothing("drop", None);
}

#[test]
fn nothing_is_left_of_a_test_that_panics() {
    leaves_nothing("panic", None);
}

#[test]
fn nothing_is_left_of_a_test_that_is_killed() {
    leaves_nothing("wait", Some("-KILL"));
}

#[test]
fn nothing_is_left_of_a_test_that_is_interrupted() {
    leaves_nothing("wait", Some("-INT"));
}

fn leaves_nothing(how: &str, signal: Option<&str>) {
    // A folder of its own for temporary files shows what is left in it.
    let name = format!("left-behind-{}-{how}", std::process::id());
    let temporary = std::env::temp_dir().join(name + signal.unwrap_or_default());
    std::fs::create_dir(&temporary).unwrap();
    // A process in the background of a script is started with SIGINT ignored.
    let mut child = Command::new("env")
        .arg("--default-signal=INT")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "left_behind::holds_servers_until_it_ends"])
        .args(["--nocapture", "--test-threads=1"])
        .env(HOW, how)
        .env("TMPDIR", &temporary)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let holding = lines.find(|line| line.as_ref().unwrap().contains("holding"));
    assert!(holding.is_some(), "the servers were not started");
    if let Some(signal) = signal {
        assert!(processes_in(&temporary) >= 5);
        let pid = child.id().to_string();
        let status = Command::new("kill").args([signal, &pid]).status();
        assert!(status.unwrap().success());
    }
    child.wait().unwrap();
    let started = Instant::now();
    while processes_in(&temporary) > 0 || holds_servers(&temporary) {
        assert!(
            started.elapsed() < PATIENCE,
            "something is left in {temporary:?}"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    std::fs::remove_dir_all(&temporary).unwrap();
}

/// Whether a server's folder is there. The locks of ports stay: all processes
/// share them.
fn holds_servers(temporary: &Path) -> bool {
    let mut folders = temporary.read_dir().unwrap().map(Result::unwrap);
    folders.any(|folder| folder.file_name() != "tendril-test-ports")
}

/// How many processes work in a folder, or were started with its name.
fn processes_in(folder: &Path) -> usize {
    let name = folder.to_str().unwrap().as_bytes();
    let processes = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter(|process| {
            let working = std::fs::read_link(process.path().join("cwd"));
            let words = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            working.is_ok_and(|working| working.starts_with(folder))
                || words.windows(name.len()).any(|window| window == name)
        });
    processes.count()
}
