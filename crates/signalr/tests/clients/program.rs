//! Runs a client program and reads how its tests went.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use tokio::time::timeout;

/// Far more than any of the programs takes.
const LIMIT: Duration = Duration::from_secs(80);

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/clients")
        .join(name)
}

/// A program of the folder `js`.
pub(crate) fn node(file: &str) -> Command {
    let folder = folder("js");
    assert!(
        folder.join("node_modules/@microsoft/signalr").is_dir(),
        "the npm packages are not installed: run `npm ci` in crates/signalr/tests/clients/js \
         (scripts/test.sh does)"
    );
    let mut node = Command::new("node");
    node.current_dir(folder)
        .args(["--test-reporter", "tap"])
        .arg(file);
    node
}

/// A program of the folder `python`.
pub(crate) fn python(file: &str) -> Command {
    let folder = folder("python");
    let interpreter = folder.join(".venv/bin/python");
    assert!(
        interpreter.is_file(),
        "the PyPI packages are not installed: run `python3 -m venv .venv` and `.venv/bin/pip \
         install -r requirements.txt` in crates/signalr/tests/clients/python (scripts/test.sh does)"
    );
    let mut python = Command::new(interpreter);
    python.current_dir(folder).args(["-u", file]);
    python
}

/// What a program wrote; it must end well and in time.
async fn run(command: &mut Command) -> String {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("node and python3 are installed");
    let mut stdout = child.stdout.take().expect("it is piped");
    let mut stderr = child.stderr.take().expect("it is piped");
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let ended = timeout(LIMIT, async {
        let (_, _, status) = tokio::join!(
            stdout.read_to_end(&mut out),
            stderr.read_to_end(&mut err),
            child.wait()
        );
        status
    })
    .await;
    let out = String::from_utf8_lossy(&out).into_owned();
    let err = String::from_utf8_lossy(&err);
    match ended {
        Ok(Ok(status)) => assert!(status.success(), "{status}\n{out}\n{err}"),
        Ok(Err(error)) => panic!("{error}\n{out}\n{err}"),
        Err(_) => panic!("the program does not end\n{out}\n{err}"),
    }
    out
}

/// Runs a program that tells its tests in TAP; as many as said must have
/// passed. Gives what it wrote.
pub(crate) async fn run_tests(command: &mut Command, expected: usize) -> String {
    let out = run(command).await;
    let count = |of: &str| {
        let line = out
            .lines()
            .find_map(|line| line.strip_prefix(&format!("# {of} ")));
        line.and_then(|number| number.parse::<usize>().ok())
    };
    let (passed, skipped) = (count("pass"), count("skipped"));
    assert_eq!((passed, skipped), (Some(expected), Some(0)), "{out}");
    out
}

/// The words behind `mark`, wherever a program wrote it.
pub(crate) fn said<'a>(out: &'a str, mark: &str) -> Vec<&'a str> {
    out.lines()
        .filter_map(|line| line.split_once(mark))
        .flat_map(|(_, words)| words.split_whitespace())
        .collect()
}
