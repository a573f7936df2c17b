//! A TCP balancer before several hubs, as simple as a platform's: each new
//! connection goes to the next hub that says that it is ready. It looks into
//! no connection, so nothing is sticky.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

const LOOK_AGAIN: Duration = Duration::from_millis(100);
const CONNECT_TIME: Duration = Duration::from_secs(1);

/// The balancer. It ends, with all its connections, when it is dropped.
#[derive(Debug)]
pub struct Balancer {
    port: u16,
    ready: watch::Receiver<Vec<bool>>,
    _tasks: JoinSet<()>,
}

impl Balancer {
    /// Listens on a free port before the hubs on these ports.
    pub async fn start(hubs: &[u16]) -> Result<Self> {
        let port = crate::ports::free_port()?;
        let listener = TcpListener::bind(("127.0.0.1", port))
            .await
            .context("the balancer's port")?;
        let (sender, ready) = watch::channel(vec![false; hubs.len()]);
        let mut tasks = JoinSet::new();
        tasks.spawn(watch_health(hubs.to_vec(), sender));
        tasks.spawn(accept(listener, Arc::from(hubs), ready.clone()));
        Ok(Self {
            port,
            ready,
            _tasks: tasks,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Waits until it sends connections to this hub.
    pub async fn await_ready(&self, hub: usize) -> Result<()> {
        let mut ready = self.ready.clone();
        ready.wait_for(|ready| ready[hub]).await?;
        Ok(())
    }
}

async fn watch_health(hubs: Vec<u16>, ready: watch::Sender<Vec<bool>>) {
    let http = reqwest::Client::builder().timeout(CONNECT_TIME).build();
    let http = http.expect("a client without special settings can be built");
    loop {
        for (index, port) in hubs.iter().enumerate() {
            let url = format!("http://127.0.0.1:{port}/health/ready");
            let answer = http.get(url).send().await;
            let is_ready = answer.is_ok_and(|answer| answer.status().is_success());
            ready.send_if_modified(|ready| {
                std::mem::replace(&mut ready[index], is_ready) != is_ready
            });
        }
        sleep(LOOK_AGAIN).await;
    }
}

async fn accept(listener: TcpListener, hubs: Arc<[u16]>, ready: watch::Receiver<Vec<bool>>) {
    let next = Arc::new(AtomicUsize::new(0));
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let first = next.fetch_add(1, Ordering::Relaxed);
        connections.spawn(serve(client, Arc::clone(&hubs), ready.clone(), first));
        while connections.try_join_next().is_some() {}
    }
}

/// A client whose connection no hub takes is closed, as a platform answers 502.
async fn serve(
    mut client: TcpStream,
    hubs: Arc<[u16]>,
    ready: watch::Receiver<Vec<bool>>,
    first: usize,
) {
    for turn in 0..hubs.len() {
        let hub = (first + turn) % hubs.len();
        if !ready.borrow()[hub] {
            continue;
        }
        let connecting = timeout(CONNECT_TIME, TcpStream::connect(("127.0.0.1", hubs[hub])));
        if let Ok(Ok(mut server)) = connecting.await {
            // An error here would only make closing less abrupt.
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            let _ = copy_bidirectional(&mut client, &mut server).await;
            return;
        }
    }
}
