//! PostgreSQL, RabbitMQ, Redis and an S3 store for tests, each a private server on a free
//! loopback port with its data in a temporary folder.
//!
//! A test that only needs a database, a virtual host or a Redis takes the one
//! server that its process shares ([`Postgres::shared`]) and a fresh database
//! in it. A test that kills its server starts one of its own
//! ([`Postgres::start`]).
//!
//! This crate owns the servers' processes and folders: both are gone when the
//! server is dropped and when the test process ends, however it ends. It never
//! touches a server that the system runs, and it installs nothing.

mod server;
mod family;
mod owner;
mod postgres;
mod rabbitmq;
mod amqp;
mod redis;
mod s3;
mod ports;
mod error;

pub use amqp::AmqpClient;
pub use error::Error;
pub use lapin;
pub use ports::free_port;
pub use postgres::Postgres;
pub use rabbitmq::RabbitMq;
pub use redis::Redis;
pub use s3::S3;
pub use server::Server;
