//! The payloads of ASP.NET Core's Redis backplane, as bytes.
//!
//! Owns their MessagePack form, both ways, without I/O: what is written here
//! a .NET server reads, and the other way round. Four kinds, and the channel
//! tells which: invocations, group commands, acknowledgements, completions.
//! Each is an array; items beyond those that are known are ignored.
//!
//! One item is more than .NET writes: the node that an invocation comes from,
//! behind everything that .NET reads (it reads two items, or four where an
//! answer is wanted), so that a node knows its own messages when they come
//! back to it.
//!
//! Specification: `RedisProtocol.cs` in dotnet/aspnetcore
//! (`src/SignalR/server/StackExchangeRedis/src/Internal`).

mod reader;
mod invocation;
mod group_command;
mod ack;
mod completion;

pub use ack::Ack;
pub use completion::Completion;
pub use group_command::{GroupAction, GroupCommand};
pub use invocation::{Answer, Invocation};

/// Bytes that are not what their channel carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// They end within a value.
    #[error("the payload ends too early")]
    Truncated,
    /// A value is of another type.
    #[error("expected {0}")]
    Expected(&'static str),
    /// An array has too few items.
    #[error("Insufficient items in {0} array.")]
    Insufficient(&'static str),
    /// More of something than anybody sends.
    #[error("too many {0}")]
    TooMany(&'static str),
}

#[cfg(test)]
mod tests;
