//! A TCP proxy whose network can fail in the ways networks do.
//!
//! Each connection keeps the fate that it was given: what happens to those that
//! stand and what happens to those that come are chosen apart. A phone that
//! loses its network and comes back on another has its old connection stranded,
//! never closed, and a new one that works.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context as _, Result};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinSet,
    time::sleep,
};

/// What becomes of a connection's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// They pass.
    Forward,
    /// They pass, each read later by this long.
    Delay(Duration),
    /// None passes either way, and neither side hears of it.
    Stranded,
    /// The client's side is closed towards the server; the other way still passes.
    HalfClosed,
    /// Both sides are closed at once.
    Cut,
}

/// The proxy. It ends, with all its connections, when it is dropped.
#[derive(Debug)]
pub struct ChaosProxy {
    port: u16,
    state: Arc<State>,
    _tasks: JoinSet<()>,
}

#[derive(Debug)]
struct State {
    upstream: SocketAddr,
    for_new: Mutex<Fate>,
    standing: Mutex<Vec<watch::Sender<Fate>>>,
}

impl ChaosProxy {
    /// Listens on a free port and forwards to `upstream_port` on the loopback interface.
    pub async fn start(upstream_port: u16) -> Result<Self> {
        let port = crate::ports::free_port()?;
        let listener = TcpListener::bind(("127.0.0.1", port))
            .await
            .context("the proxy's port")?;
        let state = Arc::new(State {
            upstream: SocketAddr::from(([127, 0, 0, 1], upstream_port)),
            for_new: Mutex::new(Fate::Forward),
            standing: Mutex::default(),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&state)));
        Ok(Self {
            port,
            state,
            _tasks: tasks,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Sets what becomes of the connections that stand now.
    pub fn set_standing(&self, fate: Fate) {
        for connection in lock(&self.state.standing).iter() {
            connection.send_replace(fate);
        }
    }

    /// Sets what becomes of connections that come from now on.
    pub fn set_new(&self, fate: Fate) {
        *lock(&self.state.for_new) = fate;
    }

    /// The network is gone: nothing is closed, nothing passes, nothing new works.
    pub fn go_dark(&self) {
        self.set_new(Fate::Stranded);
        self.set_standing(Fate::Stranded);
    }

    /// New connections work again; old ones stay stranded.
    pub fn come_back(&self) {
        self.set_new(Fate::Forward);
    }

    /// How many connections stand.
    #[must_use]
    pub fn connections(&self) -> usize {
        lock(&self.state.standing)
            .iter()
            .filter(|connection| !connection.is_closed())
            .count()
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let (sender, fate) = watch::channel(*lock(&state.for_new));
        {
            let mut standing = lock(&state.standing);
            standing.retain(|connection| !connection.is_closed());
            standing.push(sender);
        }
        connections.spawn(serve(client, state.upstream, fate));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(client: TcpStream, upstream: SocketAddr, mut fate: watch::Receiver<Fate>) {
    // A connection that begins stranded stays so: it never reaches the server.
    if *fate.borrow() == Fate::Stranded {
        while fate.changed().await.is_ok() && *fate.borrow() != Fate::Cut {}
        return;
    }
    let Ok(server) = TcpStream::connect(upstream).await else {
        return;
    };
    // An error here would only make closing less abrupt.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let mut cut = fate.clone();
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        () = both(
            pump(from_client, to_server, fate.clone(), Fate::HalfClosed),
            pump(from_server, to_client, fate.clone(), Fate::Cut),
        ) => {}
        _ = cut.wait_for(|fate| *fate == Fate::Cut) => {}
    }
}

async fn both(one: impl Future<Output = ()>, other: impl Future<Output = ()>) {
    tokio::join!(one, other);
}

/// Carries one direction. It ends with the source, or when `end_at` is the fate.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut fate: watch::Receiver<Fate>,
    end_at: Fate,
) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let now = *fate.borrow_and_update();
        if now == end_at {
            break;
        }
        if now == Fate::Stranded {
            // Not even the end of one side reaches the other.
            if fate.changed().await.is_err() {
                return;
            }
            continue;
        }
        tokio::select! {
            biased;
            changed = fate.changed() => if changed.is_err() { return },
            read = from.read(&mut buffer) => {
                let Ok(length @ 1..) = read else { break };
                if let Fate::Delay(time) = now {
                    sleep(time).await;
                }
                if to.write_all(&buffer[..length]).await.is_err() {
                    break;
                }
            }
        }
    }
    // The other side is gone when this fails.
    let _ = to.shutdown().await;
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().expect("no holder of this lock panics")
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncBufReadExt as _, io::BufReader, time::timeout};

    use super::*;

    /// Answers each line with itself, and the end of the stream with a last line.
    async fn echo() -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (from, mut to) = socket.into_split();
                    let mut lines = BufReader::new(from).lines();
                    while let Ok(Some(line)) = lines.next_line().await {
                        to.write_all(format!("{line}\n").as_bytes()).await.unwrap();
                    }
                    let _ = to.write_all(b"end\n").await;
                });
            }
        });
        port
    }

    struct Caller {
        lines: tokio::io::Lines<BufReader<OwnedReadHalf>>,
        to: OwnedWriteHalf,
    }

    impl Caller {
        async fn call(proxy: &ChaosProxy) -> Self {
            let socket = TcpStream::connect(("127.0.0.1", proxy.port()))
                .await
                .unwrap();
            let (from, to) = socket.into_split();
            Self {
                lines: BufReader::new(from).lines(),
                to,
            }
        }

        async fn say(&mut self, word: &str) -> Option<String> {
            self.to
                .write_all(format!("{word}\n").as_bytes())
                .await
                .ok()?;
            self.hear().await
        }

        async fn hear(&mut self) -> Option<String> {
            self.lines.next_line().await.ok().flatten()
        }

        async fn hears_nothing(&mut self) -> bool {
            timeout(Duration::from_millis(200), self.hear())
                .await
                .is_err()
        }
    }

    #[tokio::test]
    async fn a_stranded_connection_stays_so_and_a_new_one_works() {
        let proxy = ChaosProxy::start(echo().await).await.unwrap();
        let mut old = Caller::call(&proxy).await;
        assert_eq!(old.say("hello").await.as_deref(), Some("hello"));
        proxy.go_dark();
        old.to.write_all(b"lost\n").await.unwrap();
        assert!(old.hears_nothing().await);
        let mut lost = Caller::call(&proxy).await;
        lost.to.write_all(b"lost\n").await.unwrap();
        assert!(lost.hears_nothing().await);
        proxy.come_back();
        assert!(old.hears_nothing().await && lost.hears_nothing().await);
        assert_eq!(
            Caller::call(&proxy).await.say("new").await.as_deref(),
            Some("new")
        );
    }

    #[tokio::test]
    async fn cut_ends_both_sides_and_half_closed_only_one() {
        let proxy = ChaosProxy::start(echo().await).await.unwrap();
        let mut caller = Caller::call(&proxy).await;
        assert_eq!(caller.say("hello").await.as_deref(), Some("hello"));
        proxy.set_standing(Fate::HalfClosed);
        assert_eq!(caller.hear().await.as_deref(), Some("end"));
        let mut caller = Caller::call(&proxy).await;
        assert_eq!(caller.say("hello").await.as_deref(), Some("hello"));
        proxy.set_standing(Fate::Cut);
        assert_eq!(caller.hear().await, None);
    }

    #[tokio::test]
    async fn delayed_bytes_arrive_whole() {
        let proxy = ChaosProxy::start(echo().await).await.unwrap();
        proxy.set_new(Fate::Delay(Duration::from_millis(5)));
        let mut caller = Caller::call(&proxy).await;
        let long = "x".repeat(100_000);
        assert_eq!(caller.say(&long).await.as_deref(), Some(&*long));
    }
}
