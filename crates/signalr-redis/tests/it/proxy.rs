//! A network that can be cut: connections stand, and nothing comes through.

use std::{io, net::SocketAddr, sync::Arc};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

pub(crate) struct Proxy {
    pub(crate) port: u16,
    open: Arc<watch::Sender<bool>>,
}

impl Proxy {
    pub(crate) async fn before(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self {
            port: listener.local_addr().unwrap().port(),
            open: Arc::new(watch::Sender::new(true)),
        };
        let open = Arc::clone(&proxy.open);
        let server = SocketAddr::from(([127, 0, 0, 1], port));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let open = open.subscribe();
                tokio::spawn(async move {
                    if let Ok(server) = TcpStream::connect(server).await {
                        let (from_client, to_client) = client.into_split();
                        let (from_server, to_server) = server.into_split();
                        let there = copy(from_client, to_server, open.clone());
                        let back = copy(from_server, to_client, open);
                        let _ = tokio::join!(there, back);
                    }
                });
            }
        });
        proxy
    }

    /// Nothing comes through any more.
    pub(crate) fn cut(&self) {
        self.open.send_replace(false);
    }

    /// What was held back comes through, and all that follows.
    pub(crate) fn mend(&self) {
        self.open.send_replace(true);
    }
}

async fn copy(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut open: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let count = from.read(&mut buffer).await?;
        if open.wait_for(|open| *open).await.is_err() || count == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..count]).await?;
    }
}
