//! A Redis backplane for the [`signalr`] crate.
//!
//! Give the hub of each node a [`RedisBackplane`] of the same name on the same
//! Redis, and they act as one hub: users, groups, broadcasts, single
//! connections, group changes and client results reach whichever node has the
//! client. The channels and payloads are those of ASP.NET Core's
//! `Microsoft.AspNetCore.SignalR.StackExchangeRedis`, so .NET servers with the
//! same hub take part.
//!
//! Local clients never wait for Redis. What is published while Redis is away
//! reaches local clients only, as with ASP.NET Core: an application that must
//! not lose anything keeps a log of its own, and reads it when
//! [`Listener::subscribed`] says that something may have been missed.
//!
//! How it is laid out: [`wire`] is the format, as bytes; [`RedisOptions`] says
//! where Redis is; [`RedisLink`] is a connection that comes back by itself,
//! for the backplane and for whatever else an application has in Redis.

pub mod wire;
mod options;
mod link;
mod backplane;

pub use backplane::RedisBackplane;
pub use link::{LinkError, LinkState, LinkStats, Listener, RedisLink};
pub use options::{OptionsError, RedisOptions};

/// The documents outside of rustdoc: their examples are compiled as well.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../README.md")]
    mod readme {}
}
