//! What one message costs to 1, 100 and 10,000 connections: from the call to
//! the last write, on one thread, beside tasks that do nothing but write the
//! same bytes.
//!
//! The sockets are in memory and take everything at once, so what is measured
//! is the server alone; `tcp` has real ones, with a thread that reads them. The
//! time is that of the writing thread on a processor, where the system tells
//! it (Linux), so that what else runs on the machine does not count.

use std::{
    hint::black_box,
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use axum::body::Body;
use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use futures_util::task::AtomicWaker;
use hyper_util::rt::TokioIo;
use signalr::{Hub, HubOptions, HubServer};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
};

const OPENING: &[u8] = b"GET /hub HTTP/1.1\r\nHost: bench\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Some 300 bytes on the wire.
const TEXT: &str = "Leaf rust (Puccinia triticina) on wheat, early stage, found on the lower leaves \
    of most plants in the picture; treat within three days and look again after a week. Spread is \
    likely while nights are damp, so keep the neighbouring rows in view as well.";

struct Quiet;

impl Hub for Quiet {}

/// A socket whose peer said hello and then only listens.
struct MemorySocket {
    said: io::Cursor<Vec<u8>>,
    written: Arc<AtomicUsize>,
}

impl AsyncRead for MemorySocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.said.position() < self.said.get_ref().len() as u64 {
            return Pin::new(&mut self.said).poll_read(cx, buffer);
        }
        Poll::Pending
    }
}

impl AsyncWrite for MemorySocket {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.written
            .fetch_add(black_box(bytes).len(), Ordering::Relaxed);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = black_box(slices).iter().map(|slice| slice.len()).sum();
        self.written.fetch_add(length, Ordering::Relaxed);
        Poll::Ready(Ok(length))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The upgrade, and the handshake of SignalR in a masked frame.
fn hello() -> Vec<u8> {
    let handshake = b"{\"protocol\":\"json\",\"version\":1}\x1e";
    let mut said = OPENING.to_vec();
    said.extend([0x81, 0x80 | handshake.len() as u8, 0, 0, 0, 0]);
    said.extend(handshake);
    said
}

/// The time that this thread had a processor, or else the time that passed.
struct Clock {
    started: Instant,
    used: Option<Duration>,
}

impl Clock {
    fn start() -> Self {
        Self {
            used: Self::used(),
            started: Instant::now(),
        }
    }

    fn elapsed(&self) -> Duration {
        match (self.used, Self::used()) {
            // It is told in steps: for what is shorter, the other must do.
            (Some(before), Some(now)) if now > before => now - before,
            _ => self.started.elapsed(),
        }
    }

    fn used() -> Option<Duration> {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        let nanoseconds = text.split_whitespace().next()?.parse().ok()?;
        Some(Duration::from_nanos(nanoseconds))
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime starts")
}

fn quiet_hub() -> HubServer {
    // No pings between the measurements.
    let options = HubOptions {
        keep_alive_interval: Duration::from_secs(3600),
        ..HubOptions::default()
    };
    HubServer::builder(Quiet)
        .options(options)
        .build()
        .expect("the options are valid")
}

fn attach<S>(hub: &HubServer, socket: S)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = hyper_util::service::TowerToHyperService::new(
        tower::ServiceBuilder::new()
            .map_request(|request: http::Request<hyper::body::Incoming>| request.map(Body::new))
            .service(hub.service("/hub")),
    );
    let serving = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(socket), service)
        .with_upgrades();
    tokio::spawn(serving);
}

async fn until(ready: impl Fn() -> bool) {
    while !ready() {
        tokio::task::yield_now().await;
    }
}

/// The bytes of the message on a WebSocket.
fn on_the_wire() -> Bytes {
    let mut payload = Vec::new();
    signalr::protocol::HubProtocol::Json
        .write_invocation(&mut payload, None, "Notification", &(TEXT, 1), &[])
        .expect("it can be written");
    let mut frame = vec![0x81, 126];
    frame.extend((payload.len() as u16).to_be_bytes());
    frame.extend(payload);
    frame.into()
}

/// One message to all of `count` connections in memory.
fn hub_in_memory(count: usize, rounds: u64) -> Duration {
    let runtime = runtime();
    let spent = runtime.block_on(async {
        let hub = quiet_hub();
        let written = Arc::new(AtomicUsize::new(0));
        for _ in 0..count {
            let said = io::Cursor::new(hello());
            attach(
                &hub,
                MemorySocket {
                    said,
                    written: Arc::clone(&written),
                },
            );
        }
        until(|| hub.connection_count() == count).await;
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
        let context = hub.context();
        let length = on_the_wire().len();
        let start = Clock::start();
        for _ in 0..rounds {
            let goal = written.load(Ordering::Relaxed) + count * length;
            context.all().send("Notification", (TEXT, 1)).await;
            until(|| written.load(Ordering::Relaxed) >= goal).await;
        }
        start.elapsed()
    });
    runtime.shutdown_background();
    spent
}

/// As many tasks, each woken to write the same bytes.
struct Bare<S> {
    socket: S,
    shared: Arc<Shared>,
    seen: usize,
}

#[derive(Default)]
struct Shared {
    waker: AtomicWaker,
    round: AtomicUsize,
    bytes: std::sync::OnceLock<Bytes>,
}

impl<S: AsyncWrite + Unpin> Future for Bare<S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.shared.waker.register(cx.waker());
        let round = self.shared.round.load(Ordering::Acquire);
        if round != self.seen {
            self.seen = round;
            let bytes = self.shared.bytes.get().cloned().unwrap_or_default();
            let written = Pin::new(&mut self.socket).poll_write(cx, &bytes);
            assert!(matches!(written, Poll::Ready(Ok(length)) if length == bytes.len()));
        }
        Poll::Pending
    }
}

fn bare_in_memory(count: usize, rounds: u64) -> Duration {
    let runtime = runtime();
    let spent = runtime.block_on(async {
        let written = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<Arc<Shared>> = (0..count)
            .map(|_| {
                let said = io::Cursor::new(Vec::new());
                spawn_bare(MemorySocket {
                    said,
                    written: Arc::clone(&written),
                })
            })
            .collect();
        tokio::task::yield_now().await;
        let length = on_the_wire().len();
        let start = Clock::start();
        for _ in 0..rounds {
            let goal = written.load(Ordering::Relaxed) + count * length;
            wake_all(&tasks);
            until(|| written.load(Ordering::Relaxed) >= goal).await;
        }
        start.elapsed()
    });
    runtime.shutdown_background();
    spent
}

fn spawn_bare<S: AsyncWrite + Unpin + Send + 'static>(socket: S) -> Arc<Shared> {
    let shared = Arc::new(Shared::default());
    shared.bytes.get_or_init(on_the_wire);
    tokio::spawn(Bare {
        socket,
        shared: Arc::clone(&shared),
        seen: 0,
    });
    shared
}

fn wake_all(tasks: &[Arc<Shared>]) {
    for task in tasks {
        task.round.fetch_add(1, Ordering::Release);
        task.waker.wake();
    }
}

/// The reading ends, on a thread and a runtime of their own.
struct Readers {
    progress: Arc<Progress>,
    runtime: Runtime,
}

#[derive(Default)]
struct Progress {
    read: AtomicUsize,
    goal: AtomicUsize,
    reached: tokio::sync::Notify,
}

impl Readers {
    fn new() -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build();
        Self {
            progress: Arc::default(),
            runtime: runtime.expect("a runtime starts"),
        }
    }

    /// The writing end of a new pair; its reader says `hello` and then counts.
    async fn pair(&self, listener: &TcpListener, hello: Vec<u8>) -> TcpStream {
        let address = listener.local_addr().expect("it is bound");
        let progress = Arc::clone(&self.progress);
        self.runtime.spawn(async move {
            let mut socket = TcpStream::connect(address).await.expect("it listens");
            socket.write_all(&hello).await.expect("it is open");
            let mut buffer = vec![0; 16 * 1024];
            while let Ok(length @ 1..) = socket.read(&mut buffer).await {
                let read = progress.read.fetch_add(length, Ordering::SeqCst) + length;
                if read >= progress.goal.load(Ordering::SeqCst) {
                    progress.reached.notify_one();
                }
            }
        });
        let (socket, _) = listener.accept().await.expect("somebody connects");
        socket.set_nodelay(true).expect("it is open");
        socket
    }
}

fn over_tcp(count: usize, rounds: u64, with_hub: bool) -> Duration {
    let (runtime, readers) = (runtime(), Readers::new());
    let spent = runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("loopback has a port");
        let hub = quiet_hub();
        let mut tasks = Vec::new();
        for _ in 0..count {
            match with_hub {
                true => attach(&hub, readers.pair(&listener, hello()).await),
                false => tasks.push(spawn_bare(readers.pair(&listener, Vec::new()).await)),
            }
        }
        until(|| hub.connection_count() == count || !with_hub).await;
        // What was said at the start is read before anything counts.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let context = hub.context();
        let length = on_the_wire().len();
        let start = Clock::start();
        for _ in 0..rounds {
            let Progress {
                read,
                goal,
                reached,
            } = &*readers.progress;
            goal.store(
                read.load(Ordering::SeqCst) + count * length,
                Ordering::SeqCst,
            );
            match with_hub {
                true => drop(context.all().send("Notification", (TEXT, 1)).await),
                false => wake_all(&tasks),
            }
            // Without spinning: waiting for the readers costs nothing.
            while read.load(Ordering::SeqCst) < goal.load(Ordering::SeqCst) {
                reached.notified().await;
            }
        }
        start.elapsed()
    });
    runtime.shutdown_background();
    readers.runtime.shutdown_background();
    spent
}

fn fan_out(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fan_out");
    group.sample_size(20);
    for count in [1, 100, 10_000] {
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(BenchmarkId::new("hub", count), |bench| {
            bench.iter_custom(|rounds| hub_in_memory(count, rounds));
        });
        group.bench_function(BenchmarkId::new("bare", count), |bench| {
            bench.iter_custom(|rounds| bare_in_memory(count, rounds));
        });
    }
    for count in [1, 100, 1000] {
        group.throughput(Throughput::Elements(count as u64));
        for (name, with_hub) in [("tcp hub", true), ("tcp bare", false)] {
            group.bench_function(BenchmarkId::new(name, count), |bench| {
                bench.iter_custom(|rounds| over_tcp(count, rounds, with_hub));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, fan_out);
criterion_main!(benches);
