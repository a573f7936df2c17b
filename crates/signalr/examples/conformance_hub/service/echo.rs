//! Methods that give back their argument or make a value.

use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Error as _, Serialize, Serializer};
use signalr::protocol::RawJson;
use signalr::{ConnectionId, Context, HubBuilder};

use super::hub::Golden;
use super::values::{
    Bytes, Char, Color, DateTime, DateTimeOffset, Decimal, Dictionary, Double, Float, Guid, Thing,
    TimeSpan,
};

pub(crate) fn register(builder: HubBuilder<Golden>) -> HubBuilder<Golden> {
    let builder = builder
        .method("Echo", echo::<Option<String>>)
        .method("EchoInt", echo::<i32>)
        .method("EchoLong", echo::<i64>)
        .method("EchoDouble", echo::<Double>)
        .method("EchoFloat", echo::<Float>)
        .method("EchoDecimal", echo::<Decimal>)
        .method("EchoBool", echo::<bool>)
        .method("EchoNullable", echo::<Option<i32>>)
        .method("EchoDate", echo::<DateTime>)
        .method("EchoDateOffset", echo::<DateTimeOffset>)
        .method("EchoSpan", echo::<TimeSpan>)
        .method("EchoGuid", echo::<Guid>)
        .method("EchoColor", echo::<Color>)
        .method("EchoBytes", echo::<Option<Bytes>>)
        .method("EchoList", echo::<Option<Vec<i32>>>)
        .method("EchoMap", echo::<Option<Dictionary<i32>>>)
        .method("EchoChar", echo::<Char>)
        .method("EchoObject", echo::<Option<Thing>>)
        .method("EchoAny", echo::<RawJson>);
    builder
        .method("Add", add)
        .method("Void", void)
        .method("VoidTask", void)
        .method("Null", null)
        .method("Slow", slow)
        .method("Optional", optional)
        .method("renamed", renamed)
        .method("WithToken", with_token)
        .method("MakeLong", make_long)
        .method("MakeObject", make_object)
        .method("MakeDoubles", make_doubles)
        .method("MakeNaN", make_nan)
        .method("MakeCycle", make_cycle)
        .method("ConnectionIdOfMe", connection_id_of_me)
        .method("UserOfMe", user_of_me)
}

async fn echo<T>(value: T) -> T {
    value
}

async fn add(a: i32, b: i32) -> i32 {
    a.wrapping_add(b)
}

async fn void() {}

async fn null() -> Option<String> {
    None
}

async fn slow(millis: u64) -> u64 {
    tokio::time::sleep(Duration::from_millis(millis)).await;
    millis
}

/// .NET's default value of `b` means nothing to SignalR: both must be sent.
async fn optional(a: Option<String>, b: Option<String>) -> String {
    a.unwrap_or_default() + &b.unwrap_or_default()
}

async fn renamed() -> &'static str {
    "renamed"
}

/// What no client can send: .NET counts a token of a plain method as an
/// argument, so that the method cannot be called.
struct Unsendable;

impl<'de> Deserialize<'de> for Unsendable {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(D::Error::custom("a cancellation token cannot be sent"))
    }
}

async fn with_token(text: Option<String>, _token: Unsendable) -> Option<String> {
    text
}

async fn make_long(length: usize) -> String {
    "x".repeat(length)
}

async fn make_object() -> Option<Thing> {
    Thing::example()
}

async fn make_doubles() -> [f64; 17] {
    [
        0.0,
        1.0,
        -0.0,
        0.1,
        1.5,
        100.0,
        1e15,
        1e16,
        1e20,
        1e21,
        1e22,
        0.0001,
        0.00001,
        1e-7,
        f64::MAX,
        5e-324,
        123_456_789.123_456_79,
    ]
}

async fn make_nan() -> f64 {
    f64::NAN
}

/// Fails to be written, as an object that contains itself does in .NET.
struct Cycle;

impl Serialize for Cycle {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom("A possible object cycle was detected."))
    }
}

async fn make_cycle() -> Cycle {
    Cycle
}

async fn connection_id_of_me(context: Context) -> ConnectionId {
    context.connection_id()
}

async fn user_of_me(context: Context) -> Option<String> {
    context.user_id().map(|user| user.to_string())
}
