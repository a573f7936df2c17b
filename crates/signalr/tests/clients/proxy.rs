//! A TCP proxy that cuts its connections: all at a word, or each by itself
//! after a random time, in the middle of a message, one way or the other.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// When a connection is cut by itself.
#[derive(Debug, Clone)]
pub(crate) enum Cuts {
    /// Never.
    AtAWord,
    /// At the first message one way or the other after so many milliseconds;
    /// the seed makes it repeatable. The client gives up when it is cut while
    /// it repeats what was not acknowledged, so the time must allow for that.
    After { seed: u64, millis: Range<u64> },
}

/// The proxy; it ends with all its connections when dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    /// Whoever connects here has all standing connections cut.
    pub(crate) cut_port: u16,
    cuts: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    pub(crate) async fn start(upstream: SocketAddr, cuts: Cuts) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let control = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (word, _) = watch::channel(());
        let counted = Arc::new(AtomicUsize::new(0));
        let address = listener.local_addr().unwrap();
        let cut_port = control.local_addr().unwrap().port();
        let mut tasks = JoinSet::new();
        let cuts_made = Arc::clone(&counted);
        tasks.spawn(accept(listener, upstream, cuts, word.clone(), cuts_made));
        tasks.spawn(async move {
            while let Ok((caller, _)) = control.accept().await {
                word.send_replace(());
                drop(caller);
            }
        });
        Self {
            address,
            cut_port,
            cuts: counted,
            _tasks: tasks,
        }
    }

    /// How many connections it has cut.
    pub(crate) fn cuts(&self) -> usize {
        self.cuts.load(Ordering::Relaxed)
    }
}

async fn accept(
    listener: TcpListener,
    upstream: SocketAddr,
    cuts: Cuts,
    word: watch::Sender<()>,
    counted: Arc<AtomicUsize>,
) {
    let mut random = Random(match cuts {
        Cuts::AtAWord => 0,
        Cuts::After { seed, .. } => seed,
    });
    let mut connections = JoinSet::new();
    while let Ok((mut client, _)) = listener.accept().await {
        let mut cut = Cut::never();
        if let Cuts::After { millis, .. } = &cuts {
            let millis = millis.start + random.next() % (millis.end - millis.start);
            cut.due = Some(Instant::now() + Duration::from_millis(millis));
            cut.upwards = random.next().is_multiple_of(2);
            cut.passing = random.next() as usize;
        }
        // Half of the cuts are resets, which also lose what was on its way.
        let reset = random.next().is_multiple_of(2);
        let mut word = word.subscribe();
        let counted = Arc::clone(&counted);
        connections.spawn(async move {
            let Ok(mut server) = TcpStream::connect(upstream).await else {
                return;
            };
            let was_cut = tokio::select! {
                was_cut = forward(&mut client, &mut server, &cut) => was_cut,
                _ = word.changed() => true,
            };
            if was_cut {
                counted.fetch_add(1, Ordering::Relaxed);
            }
            if was_cut && reset {
                let _ = client.set_zero_linger();
                let _ = server.set_zero_linger();
            }
        });
    }
}

/// How one connection is cut.
struct Cut {
    due: Option<Instant>,
    /// In the client's bytes, or else in the server's.
    upwards: bool,
    /// Bytes of the last read that still pass, modulo its length.
    passing: usize,
}

impl Cut {
    fn never() -> Self {
        Self {
            due: None,
            upwards: false,
            passing: 0,
        }
    }
}

/// Copies both ways until one side ends or the cut is due: true then.
async fn forward(client: &mut TcpStream, server: &mut TcpStream, cut: &Cut) -> bool {
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let never = Cut::never();
    let (up, down) = if cut.upwards {
        (cut, &never)
    } else {
        (&never, cut)
    };
    tokio::select! {
        was_cut = copy(from_client, to_server, up) => was_cut,
        was_cut = copy(from_server, to_client, down) => was_cut,
    }
}

async fn copy(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, cut: &Cut) -> bool {
    let mut buffer = [0; 4096];
    loop {
        let Ok(read @ 1..) = from.read(&mut buffer).await else {
            return false;
        };
        let is_due = cut.due.is_some_and(|due| Instant::now() >= due);
        let passing = if is_due { cut.passing % read } else { read };
        if to.write_all(&buffer[..passing]).await.is_err() {
            return false;
        }
        if is_due {
            return true;
        }
    }
}

/// Numbers that look random and are the same for a seed (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
