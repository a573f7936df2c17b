//! A proxy as there should be none: it reads the frames that the hub sends, and
//! answers its Pings itself.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
};

/// Starts it before `hub`; gives its address.
pub(super) async fn start(hub: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let hub = hub.to_owned();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&hub).await.unwrap();
            tokio::spawn(relay(client, server));
        }
    });
    address
}

async fn relay(client: TcpStream, server: TcpStream) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let (pongs, forged) = mpsc::channel(16);
    tokio::spawn(towards_server(from_client, forged, to_server));
    let _ = towards_client(from_server, to_client, pongs).await;
}

/// What the client sends, and the Pongs that it did not send.
async fn towards_server(
    mut from: OwnedReadHalf,
    mut forged: mpsc::Receiver<Vec<u8>>,
    mut to: OwnedWriteHalf,
) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let sent = tokio::select! {
            read = from.read(&mut buffer) => match read {
                Ok(0) | Err(_) => return,
                Ok(length) => to.write_all(&buffer[..length]).await,
            },
            Some(pong) = forged.recv() => to.write_all(&pong).await,
        };
        if sent.is_err() {
            return;
        }
    }
}

/// HTTP as it is, but for one answer a connection; behind an upgrade, frame by frame.
async fn towards_client(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    pongs: mpsc::Sender<Vec<u8>>,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(from.read_u8().await?);
    }
    if !head.starts_with(b"HTTP/1.1 101") {
        // So that no upgrade comes behind a request on the same connection.
        head.truncate(head.len() - 2);
        head.extend_from_slice(b"Connection: close\r\n\r\n");
        to.write_all(&head).await?;
        tokio::io::copy(&mut from, &mut to).await?;
        return Ok(());
    }
    to.write_all(&head).await?;
    loop {
        let mut frame = vec![from.read_u8().await?, from.read_u8().await?];
        let length = match frame[1] {
            126 => {
                let length = from.read_u16().await?;
                frame.extend(length.to_be_bytes());
                usize::from(length)
            }
            short => usize::from(short),
        };
        let mut payload = vec![0; length];
        from.read_exact(&mut payload).await?;
        if frame[0] == 0x89 {
            // A Pong with the same payload, masked with zeros.
            let mut pong = vec![0x8a, 0x80 | frame[1], 0, 0, 0, 0];
            pong.extend(&payload);
            let _ = pongs.send(pong).await;
            continue;
        }
        frame.extend(payload);
        to.write_all(&frame).await?;
    }
}
