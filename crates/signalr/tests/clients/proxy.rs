//! A TCP proxy that cuts its connections at a word: in the middle of the next
//! message that passes, one way or the other.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

/// A connection on which nothing passes is cut all the same after this.
const PATIENCE: Duration = Duration::from_millis(100);

/// The proxy; it takes no more connections when dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    /// Whoever connects here has all standing connections cut, and sees the
    /// end of this one when they are.
    pub(crate) cut_port: u16,
    cuts: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

/// The connections that stand: the word that cuts each, and its task.
type Standing = Arc<Mutex<Vec<(oneshot::Sender<()>, JoinHandle<()>)>>>;

impl Proxy {
    /// The seed decides where and how connections are cut.
    pub(crate) async fn start(upstream: SocketAddr, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let control = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let cut_port = control.local_addr().unwrap().port();
        let (standing, cuts) = (Standing::default(), Arc::default());
        let mut tasks = JoinSet::new();
        let (entered, counted) = (Arc::clone(&standing), Arc::clone(&cuts));
        tasks.spawn(accept(listener, upstream, seed, entered, counted));
        tasks.spawn(async move {
            while let Ok((caller, _)) = control.accept().await {
                let victims = std::mem::take(&mut *standing.lock().unwrap());
                let (words, ends): (Vec<_>, Vec<_>) = victims.into_iter().unzip();
                for word in words {
                    // One that has ended by itself needs no word.
                    let _ = word.send(());
                }
                for end in ends {
                    end.await.unwrap();
                }
                drop(caller);
            }
        });
        Self {
            address,
            cut_port,
            cuts,
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
    seed: u64,
    standing: Standing,
    cuts: Arc<AtomicUsize>,
) {
    let mut random = Random(seed);
    while let Ok((client, _)) = listener.accept().await {
        let (word, heard) = oneshot::channel();
        let cut = Cut {
            upwards: random.next().is_multiple_of(2),
            passing: random.next() as usize,
            reset: random.next().is_multiple_of(2),
            due: AtomicBool::new(false),
        };
        let carried = carry(client, upstream, cut, heard, Arc::clone(&cuts));
        let task = tokio::spawn(carried);
        standing.lock().unwrap().push((word, task));
    }
}

/// How one connection is cut.
struct Cut {
    /// In the client's bytes, or else in the server's.
    upwards: bool,
    /// Bytes of the last read that still pass, modulo its length.
    passing: usize,
    /// By a reset, which also loses what was on its way.
    reset: bool,
    due: AtomicBool,
}

/// Carries a connection to its end.
async fn carry(
    mut client: TcpStream,
    upstream: SocketAddr,
    cut: Cut,
    heard: oneshot::Receiver<()>,
    cuts: Arc<AtomicUsize>,
) {
    let Ok(mut server) = TcpStream::connect(upstream).await else {
        return;
    };
    let was_cut = {
        let forwarded = forward(&mut client, &mut server, &cut);
        tokio::pin!(forwarded);
        tokio::select! {
            was_cut = &mut forwarded => was_cut,
            word = heard => {
                if word.is_ok() {
                    cut.due.store(true, Ordering::Relaxed);
                    timeout(PATIENCE, forwarded).await.unwrap_or(true)
                } else {
                    forwarded.await
                }
            }
        }
    };
    if was_cut {
        cuts.fetch_add(1, Ordering::Relaxed);
        if cut.reset {
            let _ = client.set_zero_linger();
            let _ = server.set_zero_linger();
        }
    }
}

/// Copies both ways until one side ends or the cut is made: true then.
async fn forward(client: &mut TcpStream, server: &mut TcpStream, cut: &Cut) -> bool {
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    tokio::select! {
        was_cut = copy(from_client, to_server, cut, cut.upwards) => was_cut,
        was_cut = copy(from_server, to_client, cut, !cut.upwards) => was_cut,
    }
}

async fn copy(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, cut: &Cut, cuts_here: bool) -> bool {
    let mut buffer = [0; 4096];
    loop {
        let Ok(read @ 1..) = from.read(&mut buffer).await else {
            return false;
        };
        let is_due = cuts_here && cut.due.load(Ordering::Relaxed);
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
