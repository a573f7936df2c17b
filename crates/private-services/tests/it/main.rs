//! What tests rely on: data that survives, servers that stand still, and
//! nothing left behind however a test process ends.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod postgres;
mod rabbitmq;
mod redis_server;
mod left_behind;
