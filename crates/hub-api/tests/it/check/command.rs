//! The command itself: table, JSON, exit code.

use std::process::{Command, Output};

use serde_json::Value;

use super::PRODUCTION;

const SECRETS: [&str; 2] = ["Jwt__Secret", "ZIRAAI_INTERNAL_SECRET"];

fn run(arguments: &[&str], secret: &str) -> Output {
    let dir = tempfile::tempdir().unwrap();
    Command::new(env!("CARGO_BIN_EXE_hub-api"))
        .args(arguments)
        .env_clear()
        .envs(PRODUCTION)
        .env("DATA_DIR", dir.path())
        .env("CONFIG_DIR", dir.path())
        .envs(SECRETS.map(|name| (name, format!("{name} {secret}"))))
        .output()
        .unwrap()
}

#[test]
fn a_good_deployment_ends_with_0_and_a_bad_one_with_another_code() {
    let good = run(&["check"], "of the tests, which is long enough");
    let text = String::from_utf8(good.stdout).unwrap();
    assert!(good.status.success(), "{text}");
    assert!(text.contains("0 failed"), "{text}");
    let bad = run(&["check"], "short");
    let text = String::from_utf8(bad.stdout).unwrap();
    assert!(!bad.status.success(), "{text}");
    assert!(text.contains("FAIL  jwt.secret"), "{text}");
}

#[test]
fn the_report_is_json_for_a_pipeline() {
    let bad = run(&["check", "--json"], "short");
    let report: Value = serde_json::from_slice(&bad.stdout).unwrap();
    assert_eq!(report["outcome"], "fail");
    assert_eq!(report["items"][0]["name"], "jwt.secret");
    assert_eq!(report["items"][0]["outcome"], "fail");
}

#[test]
fn the_effective_settings_are_printed_without_secrets() {
    let printed = run(&["config"], "of the tests, which is long enough");
    let text = String::from_utf8(printed.stdout).unwrap();
    assert!(printed.status.success(), "{text}");
    for needed in [
        "[server]",
        "idle_timeout = 75",
        "environment variable Jwt__Issuer",
    ] {
        assert!(text.contains(needed), "{needed} in {text}");
    }
    assert!(!text.contains("of the tests"), "{text}");
    let wrong = run(&["config"], "short");
    assert!(!wrong.status.success());
    assert!(
        String::from_utf8(wrong.stderr)
            .unwrap()
            .contains("jwt.secret")
    );
}
