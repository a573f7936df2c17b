//! A hub on PostgreSQL: it serves as on SQLite, and says so when it cannot.

use std::time::Duration;

use hub_api::config::{Config, Sources};
use private_services::Postgres;
use reqwest::Method;
use serde_json::json;

use crate::harness::{Hub, read};

#[tokio::test]
async fn an_analysis_goes_its_way_on_postgres() {
    let url = Postgres::shared().await.new_database().await;
    let hub = Hub::with(&[("DATABASE_URL", &url)]).await;
    let id = hub.uploaded("42").await;
    let job = hub.leased().await;
    let body = json!({
        "userId": 42,
        "notification": {"analysisId": id, "status": "Completed"},
        "attempt": {"jobId": job["jobId"], "token": job["token"]},
    });
    hub.call("/internal/notify", &body, 202).await;
    let analysis = hub
        .get_by("42", &format!("/api/v1/plantanalyses/{id}"))
        .await;
    assert_eq!(analysis["status"], "Completed");
    let log = hub.get_by("42", "/api/v1/notifications").await;
    assert_eq!(log["head"], 1);
}

#[tokio::test]
async fn a_database_that_hangs_is_503_while_liveness_stays_up() {
    let mut server = Postgres::start().await.unwrap();
    let url = server.new_database().await;
    let hub = Hub::with(&[("DATABASE_URL", &url)]).await;
    server.process.freeze().await.unwrap();
    let list = hub.by("42", Method::GET, "/api/v1/notifications").send();
    let (list, live, ready) = tokio::join!(
        list,
        hub.get("/health/live").send(),
        hub.get("/health/ready").send()
    );
    let list = list.unwrap();
    assert!(list.headers().contains_key("retry-after"));
    read(list, 503).await;
    read(live.unwrap(), 200).await;
    read(ready.unwrap(), 503).await;
    server.process.thaw().await.unwrap();
    for _ in 0..100 {
        let list = hub.by("42", Method::GET, "/api/v1/notifications").send();
        if list.await.unwrap().status() == 200 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the database is back and the hub does not serve");
}

#[tokio::test]
async fn u_0000_in_json_is_a_bad_request() {
    let url = Postgres::shared().await.new_database().await;
    for settings in [vec![], vec![("DATABASE_URL", url.as_str())]] {
        let hub = Hub::with(&settings).await;
        let body = json!({"image": "aGVsbG8=", "notes": "a\u{0}b"});
        let upload = hub.by("42", Method::POST, "/api/v1/plantanalyses/analyze-async");
        let status = upload.json(&body).send().await.unwrap().status();
        assert_eq!(status, 400);
        let retry = json!({"token": "a\u{0}b", "error": "x", "userMessage": "x"});
        let sent = hub
            .internal(Method::POST, "/internal/jobs/1/retry")
            .json(&retry);
        let status = sent.send().await.unwrap().status();
        assert_eq!(status, 400);
    }
}

#[test]
fn a_wrong_address_is_refused_by_key_and_never_shown() {
    let dir = tempfile::tempdir().unwrap();
    for url in [
        "postgres://hub:s3cr3t-word@[bad/x",
        "mysql://hub:s3cr3t-word@host/x",
    ] {
        let variables = vec![
            (
                "ASPNETCORE_ENVIRONMENT".to_owned(),
                "Development".to_owned(),
            ),
            (
                "DATA_DIR".to_owned(),
                dir.path().to_str().unwrap().to_owned(),
            ),
            ("DATABASE_URL".to_owned(), url.to_owned()),
            ("Database__PoolSize".to_owned(), "0".to_owned()),
        ];
        let config_dir = dir.path().join("none");
        let refused = Config::load_from(&Sources {
            config_dir,
            variables,
        });
        let text = refused.unwrap_err().to_string();
        for needed in ["database.url", "DATABASE_URL", "database.pool_size"] {
            assert!(text.contains(needed), "{needed} in {text}");
        }
        assert!(!text.contains("s3cr3t-word"), "{text}");
    }
}
