//! What the program says to wrong arguments, and how it exits.

use super::{ended, tendril_load};

#[tokio::test]
async fn wrong_arguments_are_told_with_what_is_accepted() {
    let url = "http://127.0.0.1:1/hub";
    for (arguments, code, said) in [
        (&["idle"][..], 2, "--url"),
        (&["idle", "--url", "nowhere"], 2, "accepted: http://host"),
        (
            &["idle", "--url", "https://h/hub"],
            2,
            "TLS is not spoken here",
        ),
        (
            &["idle", "--url", url, "--fail-if", "p99>5"],
            2,
            "a time with its unit",
        ),
        (
            &["idle", "--url", url, "--fail-if", "speed>5"],
            2,
            "p<percent>",
        ),
        (
            &["idle", "--url", url, "--duration", "5 minutes"],
            2,
            "a number with ms, s, m or h, or of seconds",
        ),
        (
            &["idle", "--url", url, "--claims", "[]"],
            2,
            "no JSON object",
        ),
        (
            &["notify", "--url", url, "--rate=-1"],
            2,
            "a number a second",
        ),
        (
            &["notify", "--url", url, "--progress", "--size", "501"],
            4,
            "--size 64 to 500",
        ),
        (
            &["idle", "--url", "http://192.0.2.1/hub"],
            4,
            "--allow-remote",
        ),
        (
            &["idle", "--url", url, "--connections", "900000"],
            4,
            "ulimit -n",
        ),
        (
            &["idle", "--url", url, "--pid", "4294967295"],
            4,
            "cannot be watched",
        ),
        (&["idle", "--url", url], 4, "no connection was opened"),
        (&["--url", url, "--users", "0"], 2, "--users"),
        (&["--connections", "5"], 2, "--url"),
        (&[], 2, "idle"),
    ] {
        let output = ended(tendril_load(arguments)).await;
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
        assert!(errors.contains(said), "{arguments:?}: {errors}");
    }
}

#[tokio::test]
async fn a_token_given_by_the_environment_is_not_shown() {
    let mut command = tendril_load(&["idle", "--help"]);
    command.env("TENDRIL_LOAD_SECRET", "the-secret-of-this-test");
    let output = ended(command).await;
    let help = String::from_utf8_lossy(&output.stdout);
    assert!(help.contains("TENDRIL_LOAD_SECRET") && !help.contains("the-secret-of-this-test"));
}
