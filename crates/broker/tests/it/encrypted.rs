//! `amqps://` with a private CA.

use std::{fs, path::Path, process::Command};

use broker::SetupError;
use private_services::{RabbitMq, free_port};
use tempfile::TempDir;

use crate::{config, session::KeptUp};

#[tokio::test]
async fn a_broker_behind_tls_is_trusted_by_its_ca_alone() {
    let rabbit = RabbitMq::shared().await;
    let folder = tempfile::tempdir().unwrap();
    let ca = certificates(&folder);
    let port = free_port().unwrap();
    listen(rabbit, folder.path(), port).await;
    let url = format!("amqps://guest:guest@localhost:{port}");

    let mut trusting = config(&url);
    trusting.ca_file = Some(ca);
    let kept = KeptUp::start(trusting.broker().unwrap().unwrap());
    kept.until_working(true).await;
    kept.stop().await.unwrap();

    let kept = KeptUp::start(config(&url).broker().unwrap().unwrap());
    while kept.state.report().broken == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let error = kept.state.report().last_error.unwrap();
    assert!(error.to_lowercase().contains("certificate"), "{error}");
    assert!(!kept.state.is_working());
    kept.stop().await.unwrap();
}

#[test]
fn certificates_that_cannot_be_read_are_told_at_start() {
    let mut config = config("amqps://localhost");
    config.ca_file = Some("/nonexistent/ca.pem".into());
    assert!(matches!(config.broker(), Err(SetupError::Ca { .. })));
}

/// A CA, and a certificate of it for localhost.
fn certificates(folder: &TempDir) -> std::path::PathBuf {
    let script = "
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
            -subj '/CN=test CA' -keyout ca.key -out ca.pem
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
            -subj '/CN=localhost' -keyout server.key -out server.csr
        printf 'subjectAltName=DNS:localhost\\nbasicConstraints=CA:FALSE\\n' > ext
        openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
            -extfile ext -out server.pem";
    let made = Command::new("sh")
        .args(["-ec", script])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    // The broker may run as somebody else.
    for file in ["ca.pem", "server.pem", "server.key"] {
        assert!(fs::metadata(folder.path().join(file)).is_ok(), "{file}");
    }
    folder.path().join("ca.pem")
}

async fn listen(rabbit: &RabbitMq, folder: &Path, port: u16) {
    let file = |name: &str| folder.join(name).display().to_string();
    let (ca, certificate, key) = (file("ca.pem"), file("server.pem"), file("server.key"));
    let code = format!(
        r#"{{ok, _}} = application:ensure_all_started(ssl),
           Options = [{{cacertfile, "{ca}"}}, {{certfile, "{certificate}"}}, {{keyfile, "{key}"}}],
           ok = rabbit_networking:start_ssl_listener({{"127.0.0.1", {port}}}, Options, 1)."#
    );
    rabbit.evaluate(&code).await.unwrap();
}
