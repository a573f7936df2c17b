//! A server that dies, hangs, refuses or is in use.

use std::collections::HashSet;

use hub_api::store::{Append, Replied, Retention, StoreError};

use super::*;

/// A store on a server of its own, to be broken.
async fn own_server() -> (Postgres, Db) {
    let server = Postgres::start().await.unwrap();
    let place = Place::Server(server.new_database().await);
    let options = StoreOptions {
        patience: seconds(2),
        ..place.options(&Clock::manual(START))
    };
    let db = Db::with(place, options).await;
    (server, db)
}

/// Asks until it is answered, as a client with an idempotency key does.
async fn until_answered<T, F>(ask: impl Fn() -> F) -> T
where
    F: Future<Output = Result<T, StoreError>>,
{
    for _ in 0..400 {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) => assert!(error.is_transient(), "{error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the database is back and does not answer");
}

#[tokio::test]
async fn an_answer_is_kept_though_the_server_dies_before_it_is_mapped() {
    let (mut server, db) = own_server().await;
    db.upload(42).await;
    let lease = db.lease().await;
    let reply = || {
        db.store
            .outside_reply(lease.job_id, lease.attempt, "{}".into())
    };
    server.process.kill().await.unwrap();
    let refused = reply().await.unwrap_err();
    assert!(refused.is_transient(), "{refused:?}");
    server.process.start_again().await.unwrap();
    assert_eq!(until_answered(reply).await, Replied::Accepted);
    server.process.kill().await.unwrap();
    server.process.start_again().await.unwrap();
    assert_eq!(until_answered(reply).await, Replied::AlreadyEnded);
    let ended = until_answered(|| db.store.append(completed(42, &lease))).await;
    assert_eq!(appended(ended).sequence, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_when_the_server_is_killed_under_load() {
    let (mut server, db) = own_server().await;
    let writers: Vec<_> = (0..20)
        .map(|writer| {
            let store = db.store.clone();
            tokio::spawn(async move {
                for n in 0..60 {
                    let (user, key) = ((writer + n) % 5, format!("{writer}-{n}"));
                    let answer =
                        until_answered(|| store.append(keyed(user, &key, &key, "a"))).await;
                    assert!(matches!(answer, Append::Appended(_) | Append::Repeated(_)));
                }
            })
        })
        .collect();
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        server.process.kill().await.unwrap();
        server.process.start_again().await.unwrap();
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let delivered = db.delivered();
    let mut logged = 0;
    for user in 0..5 {
        let events: Vec<(i64, String)> = db.logged(user).await;
        let distinct: HashSet<&String> = events.iter().map(|(_, event)| event).collect();
        assert_eq!(distinct.len(), events.len(), "each key once");
        let sequences: Vec<i64> = events.iter().map(|(sequence, _)| *sequence).collect();
        assert_eq!(sequences, (1..=sequences.len() as i64).collect::<Vec<_>>());
        let handed: Vec<i64> = delivered
            .iter()
            .filter(|entry| entry.stream == stream(user))
            .map(|entry| entry.sequence)
            .collect();
        assert_eq!(
            handed, sequences,
            "a commit without an answer is handed on, too"
        );
        logged += events.len();
    }
    assert_eq!(logged, 20 * 60);
}

#[tokio::test]
async fn a_server_that_hangs_costs_a_caller_its_patience_and_no_more() {
    let (mut server, db) = own_server().await;
    db.append(plain(1, "E")).await;
    server.process.freeze().await.unwrap();
    let start = std::time::Instant::now();
    let stream = stream(1);
    let (append, page, health) = tokio::join!(
        db.store.append(plain(1, "E")),
        db.store.entries(&stream, 0, 10),
        db.store.health()
    );
    for error in [append.unwrap_err(), page.unwrap_err(), health.unwrap_err()] {
        assert!(matches!(error, StoreError::TimedOut), "{error:?}");
    }
    // A bound far above the patience of 2 s: it shows that the wait ends.
    assert!(start.elapsed() < seconds(30));
    server.process.thaw().await.unwrap();
    until_answered(|| db.store.append(plain(1, "E"))).await;
    until_answered(|| db.store.health()).await;
}

#[tokio::test]
async fn a_reader_that_is_not_free_in_time_is_told_as_passing() {
    let (_server, db) = own_server().await;
    let Place::Server(url) = &db.place else {
        panic!("this is a server");
    };
    let stream = stream(1);
    db.append(plain(1, "E")).await;
    let mut other = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE streams IN ACCESS EXCLUSIVE MODE")
        .execute(&mut other)
        .await
        .unwrap();
    let reads = (0..30).map(|_| {
        let (store, stream) = (&db.store, &stream);
        async move { store.stream_state(stream).await }
    });
    for answer in futures_util::future::join_all(reads).await {
        let error = answer.unwrap_err();
        assert!(error.is_transient(), "{error:?}");
    }
    let refused = db.store.append(plain(1, "E")).await.unwrap_err();
    assert!(refused.is_transient(), "{refused:?}");
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    assert_eq!(
        until_answered(|| db.store.stream_state(&stream)).await.head,
        1
    );
    appended(until_answered(|| db.store.append(plain(1, "E"))).await);
}

#[tokio::test]
async fn what_is_old_is_deleted_though_crowded_streams_cannot_be_looked_for() {
    let db = open().await;
    for n in 0..3 {
        db.append(keyed(1, "E", &n.to_string(), "a")).await;
    }
    // Nothing is left to be noted with the streams, which are locked next.
    let db = db.reopen().await;
    db.clock.advance(seconds(48 * 3600));
    let Place::Server(url) = &db.place else {
        panic!("this is a server");
    };
    let mut other = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE streams IN ACCESS EXCLUSIVE MODE")
        .execute(&mut other)
        .await
        .unwrap();
    let retention = Retention {
        entries_per_stream: 5,
        ..Retention::default()
    };
    let purged = db.store.purge(retention).await.unwrap();
    assert_eq!((purged.idempotency_keys, purged.log_entries), (3, 0));
}

#[tokio::test]
async fn sessions_that_hang_keep_no_places_of_the_pool() {
    let (_server, db) = own_server().await;
    let Place::Server(url) = &db.place else {
        panic!("this is a server");
    };
    db.append(plain(1, "E")).await;
    let stream = stream(1);
    let read_often =
        || futures_util::future::join_all((0..30).map(|_| db.store.stream_state(&stream)));
    for state in read_often().await {
        assert_eq!(state.unwrap().head, 1);
    }
    let mut other = PgConnection::connect(url).await.unwrap();
    let sessions: Vec<i32> = sqlx::query_scalar(
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'tendril-hub'",
    )
    .fetch_all(&mut other)
    .await
    .unwrap();
    assert!(sessions.len() > 2, "readers, the writer, the listener");
    signal("-STOP", &sessions);
    // Each session that hangs costs a read its patience, and only one.
    read_often().await;
    until_answered(|| db.store.stream_state(&stream)).await;
    for state in read_often().await {
        assert_eq!(state.unwrap().head, 1);
    }
    until_answered(|| db.store.append(plain(1, "E"))).await;
    signal("-CONT", &sessions);
}

fn signal(signal: &str, sessions: &[i32]) {
    let sessions = sessions.iter().map(ToString::to_string);
    let done = std::process::Command::new("kill")
        .arg(signal)
        .args(sessions)
        .status();
    assert!(done.unwrap().success());
}

#[tokio::test]
async fn a_connection_that_died_while_it_idled_costs_nobody_anything() {
    let db = open().await;
    db.append(plain(1, "E")).await;
    db.sabotage(
        "",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    .await;
    assert_eq!(appended(db.append(plain(1, "E")).await).sequence, 2);
}

#[tokio::test]
async fn a_server_that_only_reads_is_told_as_passing() {
    let db = open().await;
    db.append(plain(1, "E")).await;
    db.sabotage(
        "",
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on',
             current_database()); END $$;
         SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    .await;
    let refused = db.store.append(plain(1, "E")).await.unwrap_err();
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused:?}");
}

/// The server's own answer when a table cannot grow, raised at each insert.
#[tokio::test]
async fn a_server_whose_disk_is_full_is_told_as_passing() {
    let db = open().await;
    db.append(plain(1, "E")).await;
    assert!(!db.store.health().await.unwrap().refuses_writes);
    db.sabotage(
        "",
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$;
         CREATE TRIGGER full_disk BEFORE INSERT ON log EXECUTE FUNCTION full_disk();
         CREATE TRIGGER full_disk BEFORE INSERT ON analyses EXECUTE FUNCTION full_disk()",
    )
    .await;
    let append = db.store.append(plain(1, "E")).await.unwrap_err();
    let upload = db.store.create_analysis(upload_of(1)).await.unwrap_err();
    for refused in [append, upload] {
        assert!(matches!(refused, StoreError::Unavailable(_)), "{refused:?}");
    }
    assert!(db.store.health().await.unwrap().refuses_writes);
    db.sabotage(
        "",
        "DROP TRIGGER full_disk ON log; DROP TRIGGER full_disk ON analyses",
    )
    .await;
    assert_eq!(appended(db.append(plain(1, "E")).await).sequence, 2);
    db.upload(1).await;
}

#[tokio::test]
async fn a_password_is_in_no_error() {
    let location = Location::parse("postgres://hub:s3cr3t-word@127.0.0.1:1/tendril").unwrap();
    let text = format!("{location:?}");
    assert!(!text.contains("s3cr3t-word"), "{text}");
    let wrong = Location::parse("postgres://hub:s3cr3t-word@[127.0.0.1/x").unwrap_err();
    assert!(!format!("{wrong} {wrong:?}").contains("s3cr3t-word"));
    let other = Location::parse("mysql://hub:s3cr3t-word@127.0.0.1/x").unwrap_err();
    assert!(!format!("{other} {other:?}").contains("s3cr3t-word"));
    let mistyped = "postgres://hub@127.0.0.1/x?sslmode=require&passwrod=s3cr3t-word";
    let mistyped = Location::parse(mistyped).unwrap_err();
    assert!(!format!("{mistyped} {mistyped:?}").contains("s3cr3t-word"));
}

#[tokio::test]
async fn an_address_that_prefers_plain_text_is_refused() {
    let address = |mode| format!("postgres://hub@db.example.org/tendril?sslmode={mode}");
    for mode in ["disable", "prefer", "require", "verify-ca", "verify-full"] {
        Location::parse(&address(mode)).unwrap();
    }
    let refused = Location::parse(&address("allow")).unwrap_err();
    assert!(matches!(refused, StoreError::Address { .. }), "{refused:?}");
}
