//! Random sequences of use cases against a simple model of what must hold.

use std::collections::HashMap;

use hub_api::store::{
    Append, Beat, Confirmation, FAILED_EVENT, Idempotency, ReceiptSource, Replied, Retried,
};
use proptest::prelude::*;
use shared_dto::analysis::AnalysisStatus;

use super::*;

/// One use case. `pick` chooses among the leases that were ever given, so
/// that dead attempts act as often as living ones.
#[derive(Debug, Clone)]
enum Step {
    Upload {
        user: i64,
    },
    Lease {
        max: u32,
    },
    Beat {
        pick: usize,
    },
    Park {
        pick: usize,
    },
    Reply {
        pick: usize,
    },
    Retry {
        pick: usize,
        hand_back: bool,
    },
    End {
        pick: usize,
        user: i64,
        completed: bool,
    },
    Plain {
        user: i64,
        key: Option<u8>,
        body: u8,
    },
    Confirm {
        user: i64,
        sequence: i64,
    },
    Acknowledge {
        user: i64,
        sequence: i64,
    },
    Wait {
        seconds: u64,
    },
    Expire,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let user = || 0..3i64;
    let pick = || 0..32usize;
    let step = prop_oneof![
        4 => user().prop_map(|user| Step::Upload { user }),
        6 => (1..4u32).prop_map(|max| Step::Lease { max }),
        2 => pick().prop_map(|pick| Step::Beat { pick }),
        3 => pick().prop_map(|pick| Step::Park { pick }),
        3 => pick().prop_map(|pick| Step::Reply { pick }),
        3 => (pick(), any::<bool>()).prop_map(|(pick, hand_back)| Step::Retry { pick, hand_back }),
        4 => (pick(), user(), any::<bool>())
            .prop_map(|(pick, user, completed)| Step::End { pick, user, completed }),
        3 => (user(), proptest::option::of(0..3u8), 0..2u8)
            .prop_map(|(user, key, body)| Step::Plain { user, key, body }),
        2 => (user(), -1..9i64).prop_map(|(user, sequence)| Step::Confirm { user, sequence }),
        1 => (user(), -1..9i64).prop_map(|(user, sequence)| Step::Acknowledge { user, sequence }),
        6 => (1..40u64).prop_map(|seconds| Step::Wait { seconds }),
        5 => Just(Step::Expire),
        1 => Just(Step::Reopen),
    ];
    proptest::collection::vec(step, 1..120)
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Queued,
    Leased,
    Parked,
    Ended(AnalysisStatus, i64),
}

#[derive(Debug)]
struct Job {
    user: i64,
    state: State,
    token: Option<String>,
    attempt: u32,
    reply: bool,
    reply_leases: u32,
    ready_at: UnixMillis,
    until: UnixMillis,
    deadline: UnixMillis,
}

#[derive(Debug, Default)]
struct Log {
    events: Vec<String>,
    confirmed: i64,
    acknowledged: i64,
}

#[derive(Default)]
struct Model {
    jobs: HashMap<i64, Job>,
    leases: Vec<Lease>,
    logs: HashMap<i64, Log>,
    keys: HashMap<u8, (u8, i64)>,
}

impl Model {
    fn log(&mut self, user: i64, event: &str) -> i64 {
        let log = self.logs.entry(user).or_default();
        log.events.push(event.to_owned());
        log.events.len() as i64
    }

    fn end(&mut self, id: i64, status: AnalysisStatus, event: &str, keep_token: bool) -> i64 {
        let user = self.jobs[&id].user;
        let sequence = self.log(user, event);
        let job = self.jobs.get_mut(&id).unwrap();
        job.state = State::Ended(status, sequence);
        if !keep_token {
            job.token = None;
        }
        sequence
    }

    /// The job of a lease, when the lease is the one that holds it.
    fn held(&mut self, lease: &Lease) -> Option<&mut Job> {
        let job = self.jobs.get_mut(&lease.job_id).unwrap();
        let holds = job.token.as_ref() == Some(&lease.token);
        (holds && matches!(job.state, State::Leased | State::Parked)).then_some(job)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: MODEL_CASES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_use_cases_keeps_to_the_model(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut db = open().await;
            let mut model = Model::default();
            for step in steps {
                db = carry_out(db, &mut model, step).await;
            }
            check(&db, &model).await;
        });
    }
}

async fn carry_out(db: Db, model: &mut Model, step: Step) -> Db {
    let lease_of = |model: &Model, pick: usize| {
        let leases = &model.leases;
        (!leases.is_empty()).then(|| leases[pick % leases.len()].clone())
    };
    match step {
        Step::Upload { user } => upload(&db, model, user).await,
        Step::Lease { max } => lease(&db, model, max).await,
        Step::Wait { seconds: n } => db.clock.advance(seconds(n)),
        Step::Expire => expire(&db, model).await,
        Step::Reopen => return reopen(db, model).await,
        Step::Plain { user, key, body } => notify(&db, model, user, key, body).await,
        Step::Confirm { user, sequence } => {
            let (source, at) = (ReceiptSource::Pong, db.clock.now());
            db.store.confirm(vec![Confirmation {
                stream: stream(user),
                sequence,
                source,
                at,
            }]);
            let log = model.logs.entry(user).or_default();
            let seen = sequence.min(log.events.len() as i64);
            log.confirmed = log.confirmed.max(seen);
            // What is noted before an entry is there must not confirm it later.
            return if sequence > seen {
                reopen(db, model).await
            } else {
                db
            };
        }
        Step::Acknowledge { user, sequence } => {
            db.store.acknowledge(&stream(user), sequence).await.unwrap();
            let log = model.logs.entry(user).or_default();
            let seen = sequence.min(log.events.len() as i64);
            log.confirmed = log.confirmed.max(seen);
            log.acknowledged = log.acknowledged.max(seen);
        }
        Step::Beat { pick } | Step::Park { pick } => {
            if let Some(lease) = lease_of(model, pick) {
                heartbeat(&db, model, &lease, matches!(step, Step::Park { .. })).await;
            }
        }
        Step::Reply { pick } => {
            if let Some(lease) = lease_of(model, pick) {
                reply(&db, model, &lease).await;
            }
        }
        Step::Retry { pick, hand_back } => {
            if let Some(lease) = lease_of(model, pick) {
                retry(&db, model, &lease, hand_back).await;
            }
        }
        Step::End {
            pick,
            user,
            completed,
        } => {
            if let Some(lease) = lease_of(model, pick) {
                end(&db, model, &lease, user, completed).await;
            }
        }
    }
    db
}

async fn upload(db: &Db, model: &mut Model, user: i64) {
    let id = db.upload(user).await;
    let now = db.clock.now();
    let job = Job {
        user,
        state: State::Queued,
        token: None,
        attempt: 0,
        reply: false,
        reply_leases: 0,
        ready_at: now,
        until: now,
        deadline: now + db.options().job_deadline,
    };
    model.jobs.insert(id, job);
}

async fn lease(db: &Db, model: &mut Model, max: u32) {
    let now = db.clock.now();
    let ready = |job: &Job| job.state == State::Queued && job.ready_at <= now && job.deadline > now;
    let mut expected: Vec<(UnixMillis, i64)> = model
        .jobs
        .iter()
        .filter(|(_, job)| ready(job))
        .map(|(id, job)| (job.ready_at, *id))
        .collect();
    expected.sort_unstable();
    expected.truncate(max as usize);
    let leases = db.store.lease_jobs("worker-a", max, LEASE).await.unwrap();
    let ids: Vec<i64> = leases.iter().map(|lease| lease.job_id).collect();
    assert_eq!(ids, expected.iter().map(|(_, id)| *id).collect::<Vec<_>>());
    for lease in leases {
        let job = model.jobs.get_mut(&lease.job_id).unwrap();
        if job.reply {
            job.reply_leases += 1;
        } else {
            job.attempt += 1;
        }
        assert_eq!(
            (lease.attempt, lease.reply.is_some()),
            (job.attempt, job.reply)
        );
        job.state = State::Leased;
        job.token = Some(lease.token.clone());
        job.until = now + LEASE;
        model.leases.push(lease);
    }
}

async fn heartbeat(db: &Db, model: &mut Model, lease: &Lease, park: bool) {
    let park = park.then(|| seconds(60));
    let now = db.clock.now();
    let told = db
        .store
        .heartbeat(Heartbeat {
            park,
            ..beat(lease)
        })
        .await
        .unwrap();
    let Some(job) = model.held(lease) else {
        assert_eq!(told, Beat::Stale);
        return;
    };
    assert!(matches!(told, Beat::Alive(_)));
    if park.is_some() || job.state != State::Parked {
        job.until = now + park.unwrap_or(LEASE);
    }
    match park {
        Some(_) if job.reply => {
            job.state = State::Queued;
            job.ready_at = now;
        }
        Some(_) => job.state = State::Parked,
        None => {}
    }
}

async fn reply(db: &Db, model: &mut Model, lease: &Lease) {
    let told = db
        .store
        .outside_reply(lease.job_id, lease.attempt, "{}".into())
        .await
        .unwrap();
    let job = model.jobs.get_mut(&lease.job_id).unwrap();
    let handed_back = job.state == State::Queued && lease.attempt == job.attempt + 1;
    let expected = if lease.attempt > job.attempt && !handed_back {
        Replied::Unknown
    } else if job.reply || matches!(job.state, State::Ended(..)) {
        Replied::AlreadyEnded
    } else if lease.attempt < job.attempt {
        Replied::Stale
    } else {
        job.reply = true;
        job.reply_leases = 0;
        job.attempt = lease.attempt;
        job.ready_at = db.clock.now();
        if job.state != State::Leased {
            job.state = State::Queued;
            job.token = None;
        }
        Replied::Accepted
    };
    assert_eq!(told, expected);
}

async fn retry(db: &Db, model: &mut Model, lease: &Lease, hand_back: bool) {
    let told = db
        .store
        .retry(Retry {
            hand_back,
            ..give_back(lease)
        })
        .await
        .unwrap();
    let now = db.clock.now();
    let Some(job) = model.held(lease) else {
        let job = &model.jobs[&lease.job_id];
        let same = job.token.as_ref() == Some(&lease.token);
        match (told, job.state) {
            (Retried::Repeated { available_at }, State::Queued) if same => {
                assert_eq!(available_at, Some(job.ready_at));
            }
            (Retried::Repeated { available_at: None }, State::Ended(AnalysisStatus::Failed, _))
                if same => {}
            (Retried::Stale, _) => {}
            other => panic!("{other:?}"),
        }
        return;
    };
    let new_reply = job.reply && job.reply_leases == 0;
    if hand_back || new_reply {
        job.attempt -= u32::from(!job.reply);
        job.reply_leases = job.reply_leases.saturating_sub(1);
        job.ready_at = now;
    } else if job.attempt >= 3 {
        assert!(matches!(told, Retried::Exhausted(_)));
        model.end(lease.job_id, AnalysisStatus::Failed, FAILED_EVENT, true);
        return;
    } else {
        (job.reply, job.reply_leases) = (false, 0);
        job.ready_at = now + seconds(1 << job.attempt);
    }
    job.state = State::Queued;
    assert_eq!(
        told,
        Retried::Scheduled {
            available_at: job.ready_at
        }
    );
}

async fn end(db: &Db, model: &mut Model, lease: &Lease, user: i64, complete: bool) {
    let new = if complete {
        completed(user, lease)
    } else {
        failed(user, lease)
    };
    let event = new.event.clone();
    let told = db.append(new).await;
    let job = &model.jobs[&lease.job_id];
    if job.user != user {
        assert_eq!(told, Append::NotOwner);
        return;
    }
    if let State::Ended(_, sequence) = job.state
        && job.token.as_ref() == Some(&lease.token)
    {
        assert!(matches!(told, Append::Repeated(first) if first.sequence == sequence));
    } else if model.held(lease).is_some() {
        let status = if complete {
            AnalysisStatus::Completed
        } else {
            AnalysisStatus::Failed
        };
        let sequence = model.end(lease.job_id, status, &event, true);
        assert_eq!(appended(told).sequence, sequence);
    } else {
        assert_eq!(told, Append::StaleAttempt);
    }
}

async fn notify(db: &Db, model: &mut Model, user: i64, key: Option<u8>, body: u8) {
    let key_of = |key: u8| Idempotency {
        body_hash: format!("{user}-{body}"),
        ..idempotency("notify", &key.to_string(), "")
    };
    let new = NewNotification {
        idempotency: key.map(key_of),
        ..plain(user, "E")
    };
    let told = db.append(new).await;
    // The hash covers the user as well, so the model's body does.
    let hash = u8::try_from(user).unwrap() * 2 + body;
    match key.and_then(|key| model.keys.get(&key)) {
        Some((known, sequence)) if *known == hash => {
            assert!(matches!(told, Append::Repeated(first) if first.sequence == *sequence));
        }
        Some(_) => assert_eq!(told, Append::Conflict),
        None => {
            let sequence = model.log(user, "E");
            assert_eq!(appended(told).sequence, sequence);
            if let Some(key) = key {
                model.keys.insert(key, (hash, sequence));
            }
        }
    }
}

/// While the store was closed no worker could lengthen its lease.
async fn reopen(db: Db, model: &mut Model) -> Db {
    let spared = db.clock.now() + seconds(60);
    for job in model.jobs.values_mut() {
        if matches!(job.state, State::Leased) {
            job.until = job.until.max(spared);
        }
    }
    db.reopen().await
}

async fn expire(db: &Db, model: &mut Model) {
    let now = db.clock.now();
    let expired = db.store.expire(1000).await.unwrap();
    let (mut requeued, mut failed) = (0, 0);
    let mut ids: Vec<i64> = model.jobs.keys().copied().collect();
    // Failures are logged in the order of the jobs.
    ids.sort_unstable();
    for id in ids {
        let job = model.jobs.get_mut(&id).unwrap();
        let silent = matches!(job.state, State::Leased | State::Parked) && job.until <= now;
        let overdue = !matches!(job.state, State::Ended(..)) && job.deadline <= now;
        let spent = if job.reply {
            job.reply_leases
        } else {
            job.attempt
        };
        if overdue || (silent && spent >= 3) {
            model.end(id, AnalysisStatus::Failed, FAILED_EVENT, false);
            failed += 1;
        } else if silent {
            job.state = State::Queued;
            job.token = None;
            let wait = if job.reply && spent == 0 {
                0
            } else {
                1 << spent
            };
            job.ready_at = now + seconds(wait);
            requeued += 1;
        }
    }
    assert_eq!((expired.requeued, expired.failed), (requeued, failed));
}

async fn check(db: &Db, model: &Model) {
    for user in 0..3 {
        let page = db.store.entries(&stream(user), 0, 1000).await.unwrap();
        let events: Vec<String> = page
            .entries
            .iter()
            .map(|entry| entry.event.to_string())
            .collect();
        let sequences: Vec<i64> = page.entries.iter().map(|entry| entry.sequence).collect();
        let default = Log::default();
        let log = model.logs.get(&user).unwrap_or(&default);
        assert_eq!(events, log.events);
        assert_eq!(sequences, (1..=events.len() as i64).collect::<Vec<_>>());
        let marks = (
            page.state.head,
            page.state.confirmed,
            page.state.acknowledged,
        );
        assert_eq!(
            marks,
            (events.len() as i64, log.confirmed, log.acknowledged)
        );
    }
    for (id, job) in &model.jobs {
        let owner = UserId::from(job.user);
        let analysis = db.store.analysis_of(&owner, *id).await.unwrap().unwrap();
        match job.state {
            State::Ended(status, _) => assert_eq!(analysis.status, status),
            _ => assert_eq!(analysis.status, AnalysisStatus::Processing),
        }
        let page = db.store.entries(&stream(job.user), 0, 1000).await.unwrap();
        let ends = page
            .entries
            .iter()
            .filter(|entry| entry.analysis_id == Some(*id))
            .count();
        assert_eq!(
            ends,
            usize::from(matches!(job.state, State::Ended(..))),
            "one end each"
        );
    }
    let stats = db.store.queue_stats().await.unwrap();
    let open = model
        .jobs
        .values()
        .filter(|job| !matches!(job.state, State::Ended(..)))
        .count();
    assert_eq!(
        stats.ready + stats.waiting + stats.leased + stats.parked,
        open as u64
    );
}
