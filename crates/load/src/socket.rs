//! Sockets that cost little: bytes are read through a buffer that all
//! connections of a thread share, so that a silent one has none.

use std::{cell::RefCell, io, net::SocketAddr};

use tokio::net::{TcpSocket, TcpStream};

const READ_AT_ONCE: usize = 64 * 1024;

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_AT_ONCE].into());
}

/// Connects from `source`, where one is given.
pub(crate) async fn connect(
    target: SocketAddr,
    source: Option<SocketAddr>,
) -> io::Result<TcpStream> {
    let socket = if target.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_nodelay(true)?;
    if let Some(source) = source {
        socket.bind(source)?;
    }
    socket.connect(target).await
}

/// Waits for bytes and adds them to `out`; 0 at the stream's end. Nothing is
/// lost when it is dropped.
pub(crate) async fn read(socket: &TcpStream, out: &mut Vec<u8>) -> io::Result<usize> {
    read_with(socket, |bytes| out.extend_from_slice(bytes)).await
}

/// Waits for bytes and gives them to `take`; 0 at the stream's end.
pub(crate) async fn read_with(
    socket: &TcpStream,
    mut take: impl FnMut(&[u8]),
) -> io::Result<usize> {
    loop {
        socket.readable().await?;
        let read = BUFFER.with_borrow_mut(|buffer| {
            let length = socket.try_read(buffer)?;
            take(&buffer[..length]);
            Ok(length)
        });
        match read {
            Err(error) if io::Error::kind(&error) == io::ErrorKind::WouldBlock => {}
            read => return read,
        }
    }
}

/// Writes what waits in `outgoing`. What is written is taken out, so that it
/// may be dropped and called again.
pub(crate) async fn flush(socket: &TcpStream, outgoing: &mut Vec<u8>) -> io::Result<()> {
    while !outgoing.is_empty() {
        match socket.try_write(outgoing) {
            Ok(written) => {
                outgoing.drain(..written);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => socket.writable().await?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
