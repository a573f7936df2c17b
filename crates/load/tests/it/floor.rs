//! Against a server that is not ours but for its place: the floor.

use std::{
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command},
    time::{Duration, Instant},
};

use e2e::{binaries::workspace_root, ports::free_port};

use super::{
    assert_complete, report,
    second_client::{SecondClient, all_up_to},
    tendril_load,
};

/// It ends with the test.
struct Floor {
    process: Child,
    address: String,
}

impl Drop for Floor {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Floor {
    fn start() -> Self {
        let program = program();
        let address = format!("127.0.0.1:{}", free_port().unwrap());
        let floor = Self {
            process: Command::new(program).arg(&address).spawn().unwrap(),
            address,
        };
        let patience = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(&floor.address).is_err() {
            assert!(Instant::now() < patience, "the floor does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        floor
    }

    fn load(&self, arguments: &[&str]) -> Command {
        let mut command = tendril_load(arguments);
        let url = format!("http://{}/hub", self.address);
        command.args([
            "--url",
            &url,
            "--secret",
            "any",
            "--warm-up",
            "0s",
            "--duration",
            "500ms",
        ]);
        command
    }
}

/// Built already where all tests are; else it is built now, so that a test
/// never runs yesterday's.
fn program() -> PathBuf {
    if let Some(folder) = std::env::var_os("TENDRIL_BIN_DIR") {
        return workspace_root().join(folder).join("examples/floor");
    }
    let built = Command::new(env!("CARGO"))
        .current_dir(workspace_root())
        .args(["build", "--quiet", "-p", "load", "--example", "floor"])
        .status();
    assert!(built.unwrap().success());
    let program = Path::new(env!("CARGO_BIN_EXE_tendril-load"));
    program.parent().unwrap().join("examples/floor")
}

#[tokio::test]
async fn it_is_driven_by_the_same_scenarios_and_a_second_client_agrees() {
    let floor = Floor::start();
    for arguments in [
        &[
            "notify",
            "--rate",
            "100",
            "--connections",
            "10",
            "--users",
            "5",
        ][..],
        &[
            "notify",
            "--rate",
            "100",
            "--connections",
            "10",
            "--progress",
        ],
        &["broadcast", "--rate", "20", "--connections", "10"],
        &["echo", "--rate", "100", "--connections", "10"],
    ] {
        assert_complete(&report(floor.load(arguments)).await);
    }
    // It takes nobody's token for granted, and knows a client without one as user 0.
    let second = SecondClient::connect(&format!("ws://{}/hub", floor.address)).await;
    let both = [
        "notify",
        "--rate",
        "100",
        "--connections",
        "2",
        "--users",
        "1",
        "--first-user",
        "0",
    ];
    let report = report(floor.load(&both)).await;
    assert_complete(&report);
    let numbers = second.numbers(&report["sent"]).await;
    assert_eq!(numbers, all_up_to(&report["sent"]));
}

#[tokio::test]
async fn options_alone_open_connections_and_hold_them() {
    let floor = Floor::start();
    let url = format!("http://{}/hub", floor.address);
    let options = [
        "--url",
        &url,
        "--connections",
        "50",
        "--duration",
        "1",
        "--token",
        "any",
    ];
    let report = report(tendril_load(&options)).await;
    assert_eq!(report["scenario"], "idle", "{report:#}");
    assert_eq!(
        (&report["opened"], &report["failed"], &report["closed"]),
        (&50.into(), &0.into(), &0.into()),
        "{report:#}"
    );
    assert!(report["seconds"].as_f64().unwrap() >= 1.0, "{report:#}");
}
