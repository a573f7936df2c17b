//! The real binary as a process, with its log in a file, and everything secret
//! that a test has shown it.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::{Child, Command},
    time::Duration,
};

use jsonwebtoken::{EncodingKey, Header, encode};
use parking_lot::Mutex;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use sqlx::{Connection as _, Row as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::harness::photo;

pub(super) const SECRET: &str = "kV7mQ2xT9cLw4RzN8bHs6JyF3dGp1AeU";
pub(super) const INTERNAL: &str = "pL5vB1nQ8sWx3ZtK7mGd2HrY9cFj6TeA";

/// A running hub.
pub(super) struct HubProcess {
    base: String,
    client: Client,
    dir: TempDir,
    child: Mutex<Child>,
    used: Mutex<Vec<String>>,
}

impl HubProcess {
    pub(super) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = free_port();
        let log = File::create(dir.path().join("log")).unwrap();
        let public = crate::edges::issuer::ED.public;
        let child = Command::new(env!("CARGO_BIN_EXE_hub-api"))
            .env_clear()
            .envs([
                ("ASPNETCORE_ENVIRONMENT", "Production"),
                ("DATA_DIR", dir.path().to_str().unwrap()),
                ("CONFIG_DIR", dir.path().join("none").to_str().unwrap()),
                ("PORT", &port.to_string()),
                ("Jwt__Secret", SECRET),
                ("Jwt__PublicKey", public),
                ("Jwt__Issuer", "issuer"),
                ("Jwt__Audience", "audience"),
                ("ZIRAAI_INTERNAL_SECRET", INTERNAL),
                ("WebAPI__BaseUrl", "https://hub.example.com"),
                ("Cors__AllowedOrigins__0", "https://app.example.com"),
                ("Security__AllowedInternalIPs__0", "10.0.0.0/8"),
                ("Images__AllowedHosts__0", "images.example.com"),
                ("Limits__DeniedPerMinute", "10000"),
                ("Log__Filter", "debug"),
                ("NO_COLOR", "1"),
            ])
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let hub = Self {
            base: format!("http://127.0.0.1:{port}"),
            client: Client::builder().no_proxy().build().unwrap(),
            dir,
            child: Mutex::new(child),
            used: Mutex::new(vec![SECRET.to_owned(), INTERNAL.to_owned()]),
        };
        for _ in 0..600 {
            if hub.get("/health/live").send().await.is_ok() {
                return hub;
            }
            sleep(Duration::from_millis(100)).await;
        }
        panic!("the hub does not start: {}", hub.log());
    }

    /// A request whose address, but for what is behind a `?`, may stand in a log.
    pub(super) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    pub(super) fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    pub(super) fn post(&self, path: &str) -> RequestBuilder {
        self.request(Method::POST, path)
    }

    /// Notes that `text` was sent and must not be logged.
    pub(super) fn secret(&self, text: &str) -> String {
        self.used.lock().push(text.to_owned());
        text.to_owned()
    }

    /// A good token with some claims changed.
    pub(super) fn token(&self, changes: &Value) -> String {
        let mut claims = json!({
            "sub": "42", "iss": "issuer", "aud": "audience",
            "exp": crate::edges::issuer::in_seconds(600),
        });
        for (name, value) in changes.as_object().unwrap() {
            if value == "(none)" {
                claims.as_object_mut().unwrap().remove(name);
            } else {
                claims[name] = value.clone();
            }
        }
        let key = EncodingKey::from_secret(SECRET.as_bytes());
        self.secret(&encode(&Header::default(), &claims, &key).unwrap())
    }

    /// An analysis and a notification of user 43, who is not the one who asks.
    pub(super) async fn prepare(&self) {
        let form = reqwest::multipart::Form::new().part(
            "image",
            reqwest::multipart::Part::bytes(photo(image::ImageFormat::Jpeg)).file_name("leaf.jpg"),
        );
        let uploaded = self
            .post("/api/v1/plantanalyses/analyze-async")
            .bearer_auth(self.token(&json!({"sub": "43"})))
            .header("Idempotency-Key", "prepared")
            .multipart(form);
        assert_eq!(uploaded.send().await.unwrap().status(), 202);
        let notified = self
            .post("/internal/notify")
            .header("X-Internal-Secret", INTERNAL)
            .header("Idempotency-Key", "prepared")
            .json(&json!({"event": "Prepared", "userId": 43, "payload": {}}));
        assert!(notified.send().await.unwrap().status().is_success());
    }

    /// Everything in the database.
    pub(super) async fn state(&self) -> Vec<String> {
        let file = SqliteConnectOptions::new()
            .filename(self.dir.path().join("tendril.db"))
            .read_only(true);
        let mut conn = SqliteConnection::connect_with(&file).await.unwrap();
        let tables: Vec<String> =
            sqlx::query_scalar("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
                .fetch_all(&mut conn)
                .await
                .unwrap();
        let mut state = Vec::new();
        for table in tables {
            let columns: Vec<String> =
                sqlx::query_scalar("SELECT name FROM pragma_table_info($1) ORDER BY cid")
                    .bind(&table)
                    .fetch_all(&mut conn)
                    .await
                    .unwrap();
            let columns: Vec<String> = columns.iter().map(|c| format!("quote(\"{c}\")")).collect();
            let sql = format!("SELECT {} FROM \"{table}\"", columns.join(" || ',' || "));
            let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
                .fetch_all(&mut conn)
                .await
                .unwrap();
            state.extend(
                rows.iter()
                    .map(|row| format!("{table}: {}", row.get::<String, _>(0))),
            );
        }
        state
    }

    /// What must not be in the log.
    pub(super) fn used(&self) -> Vec<String> {
        let mut used = self.used.lock().clone();
        // A signature alone would do with the rest of the token.
        let signatures = used.iter().filter_map(|text| text.rsplit_once('.'));
        let signatures: Vec<String> = signatures
            .map(|(_, signature)| signature.to_owned())
            .filter(|signature| signature.len() > 20)
            .collect();
        used.extend(signatures);
        used.retain(|text| text.len() >= 8);
        used
    }

    /// Ends the process and gives its log.
    pub(super) fn stop(&self) -> String {
        let mut child = self.child.lock();
        let _ = child.kill();
        let _ = child.wait();
        drop(child);
        self.log()
    }

    fn log(&self) -> String {
        let path: PathBuf = self.dir.path().join("log");
        fs::read_to_string(path).unwrap()
    }
}

impl Drop for HubProcess {
    fn drop(&mut self) {
        let mut child = self.child.lock();
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
