//! Any bytes, in any cuts, from a client of a hub: the whole way through
//! transport, frames, protocol, session, methods and back.
//!
//! The first byte of an input says what the client is (`Plan`), the second
//! how its bytes are cut. No clock is used but for times that nothing waits
//! for: methods that take long take turns of the scheduler, so that an input
//! does the same each time.

mod hub;
mod client;
mod outcome;

use std::cell::RefCell;
use std::collections::HashSet;

use signalr::HubServer;
use signalr::protocol::{HubMessage, HubProtocol, Parsed};
use tokio::runtime::Runtime;

use self::client::Client;
use self::outcome::Outcome;

/// What the client does with its bytes.
#[derive(Debug, Clone, Copy)]
struct Plan {
    speech: Speech,
    transport: Transport,
    stateful: bool,
    /// The socket breaks in the middle and another takes its place.
    reattaches: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speech {
    /// The bytes are frames, after a handshake for this protocol.
    Frames(HubProtocol),
    /// The bytes are hub messages, after a handshake for this protocol.
    Messages(HubProtocol),
    /// The bytes are handshake and hub messages.
    FromHandshake,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transport {
    WebSocket,
    ServerSentEvents,
    LongPolling,
}

impl Plan {
    fn new(flags: u8) -> Self {
        let speech = match flags & 3 {
            0 if flags & 4 == 0 => Speech::Frames(HubProtocol::Json),
            0 => Speech::Frames(HubProtocol::MessagePack),
            1 => Speech::Messages(HubProtocol::Json),
            2 => Speech::Messages(HubProtocol::MessagePack),
            _ => Speech::FromHandshake,
        };
        let frames = matches!(speech, Speech::Frames(_));
        let web_socket = frames || flags & 8 == 0;
        let transport = match flags & 16 {
            _ if web_socket => Transport::WebSocket,
            0 => Transport::LongPolling,
            _ => Transport::ServerSentEvents,
        };
        // A socket that broke in the middle of a frame would have to be waited for.
        let stateful = !frames && web_socket && flags & 4 != 0;
        Self {
            speech,
            transport,
            stateful,
            reattaches: stateful && flags & 32 != 0,
        }
    }
}

struct Bench {
    runtime: Runtime,
    /// Its methods never wait, so that nothing depends on when bytes come.
    prompt: HubServer,
    full: HubServer,
}

impl Bench {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime without I/O");
        let (prompt, full) = runtime.block_on(async { (hub::prompt(), hub::full()) });
        Self {
            runtime,
            prompt,
            full,
        }
    }
}

thread_local! {
    static BENCH: RefCell<Bench> = RefCell::new(Bench::new());
}

/// However the bytes are cut, the client is told the same; and once it has
/// left, nothing of it is left.
pub fn check(input: &[u8]) {
    let &[flags, seed, ref bytes @ ..] = input else {
        return;
    };
    let plan = Plan::new(flags);
    BENCH.with_borrow(|bench| {
        let hub = match plan.speech {
            Speech::Frames(_) => &bench.prompt,
            _ => &bench.full,
        };
        bench.runtime.block_on(async {
            let pieces = super::cut(bytes, seed);
            if plan.reattaches {
                run(hub, plan, &pieces).await;
                return;
            }
            let whole = run(hub, plan, &[bytes]).await;
            let cut = run(hub, plan, &pieces).await;
            let plain = match plan.speech {
                Speech::Frames(_) => true,
                Speech::Messages(protocol) => is_plain(protocol, bytes),
                Speech::FromHandshake => false,
            };
            whole.assert_same(&cut, plain);
        });
    });
}

/// Whether no invocation and no upload has the id of an earlier one, and none
/// is cancelled: what comes of those depends on how far they got.
fn is_plain(protocol: HubProtocol, mut bytes: &[u8]) -> bool {
    let (mut ids, mut new) = (HashSet::new(), true);
    loop {
        let consumed = match protocol.parse(bytes) {
            Ok(Parsed::Message { message, consumed }) => {
                match message {
                    HubMessage::Invocation(call) | HubMessage::StreamInvocation(call) => {
                        let uploads = call.stream_ids.into_iter();
                        for id in uploads.chain(call.invocation_id) {
                            new &= ids.insert(id.into_owned());
                        }
                    }
                    HubMessage::CancelInvocation { .. } => return false,
                    _ => {}
                }
                consumed
            }
            Ok(Parsed::Unknown { consumed }) => consumed,
            Ok(Parsed::Incomplete) | Err(_) => return new,
        };
        bytes = &bytes[consumed..];
    }
}

async fn run(hub: &HubServer, plan: Plan, pieces: &[&[u8]]) -> Outcome {
    let mut client = Client::connect(hub, plan).await;
    if let Speech::Frames(protocol) | Speech::Messages(protocol) = plan.speech {
        let name = protocol.name();
        let request = format!("{{\"protocol\":\"{name}\",\"version\":1}}\x1e");
        client.say_message(request.as_bytes()).await;
        turns(4).await;
    }
    for (at, piece) in pieces.iter().enumerate() {
        if plan.reattaches && at == pieces.len() / 2 {
            client.reattach(hub).await;
        }
        client.say(piece).await;
        turns(4).await;
    }
    client.settle().await;
    for connection in hub.connections() {
        assert!(
            connection.waiting_bytes <= 256 * 1024,
            "what waits for a client is bounded"
        );
    }
    let said = client.leave(hub).await;
    for _ in 0..1000 {
        if hub.connection_count() == 0 {
            return Outcome::read(&said, plan.transport);
        }
        turns(1).await;
    }
    panic!("the client left and its connection stays");
}

/// Lets every other task have its turn so many times.
async fn turns(count: usize) {
    for _ in 0..count {
        tokio::task::yield_now().await;
    }
}
