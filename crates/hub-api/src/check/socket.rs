//! A WebSocket client that can keep silent: it answers Pings only when it is
//! told to, which no library's client does. It shows whether something between
//! it and the hub answers in its place. Text frames only, unfragmented, as the
//! hub sends them.

use checklist::Web;
use http::{
    Method, StatusCode,
    header::{CONNECTION, ORIGIN, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE},
};
use reqwest::Upgraded;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// The hub sends nothing longer to a check.
const LONGEST_FRAME: u64 = 1024 * 1024;

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// Why there is no socket, or none any more.
#[derive(Debug, thiserror::Error)]
pub(super) enum SocketError {
    /// The request for it did not get through.
    #[error("{0}")]
    Unreachable(String),
    /// It was refused.
    #[error("the upgrade was answered {0}")]
    Refused(StatusCode),
    /// It broke.
    #[error("the connection broke: {0}")]
    Broken(#[from] std::io::Error),
    /// It was closed in an orderly way.
    #[error("the hub closed the connection")]
    Closed,
    /// A frame came that the hub does not send.
    #[error("something else than a hub answers")]
    Foreign,
}

/// An open WebSocket.
#[derive(Debug)]
pub(super) struct Socket {
    io: Upgraded,
    pub(super) answers_pings: bool,
}

impl Socket {
    /// Opens a WebSocket at `path`, as a page of `origin` where one is given.
    pub(super) async fn open(
        web: &Web,
        path: &str,
        token: &str,
        origin: Option<&str>,
    ) -> Result<Self, SocketError> {
        let mut key = [0; 16];
        // Whatever it is, it need not be unpredictable (RFC 6455 section 10.3).
        let _ = getrandom::fill(&mut key);
        let key = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, key);
        let mut request = web
            .request(Method::GET, path)
            .bearer_auth(token)
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "websocket")
            .header(SEC_WEBSOCKET_VERSION, "13")
            .header(SEC_WEBSOCKET_KEY, key);
        if let Some(origin) = origin {
            request = request.header(ORIGIN, origin);
        }
        let unreachable = |error| SocketError::Unreachable(checklist::cause(error));
        let answer = request.send().await.map_err(unreachable)?;
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(SocketError::Refused(answer.status()));
        }
        Ok(Self {
            io: answer.upgrade().await.map_err(unreachable)?,
            answers_pings: true,
        })
    }

    /// Sends a text.
    pub(super) async fn send(&mut self, text: &str) -> Result<(), SocketError> {
        self.write(TEXT, text.as_bytes()).await
    }

    /// The next text.
    pub(super) async fn receive(&mut self) -> Result<String, SocketError> {
        loop {
            let (kind, payload) = self.read().await?;
            match kind {
                TEXT => return String::from_utf8(payload).map_err(|_| SocketError::Foreign),
                PING if self.answers_pings => self.write(PONG, &payload).await?,
                PING | PONG => {}
                CLOSE => return Err(SocketError::Closed),
                _ => return Err(SocketError::Foreign),
            }
        }
    }

    async fn read(&mut self) -> Result<(u8, Vec<u8>), SocketError> {
        let mut head = [0; 2];
        self.io.read_exact(&mut head).await?;
        let [first, second] = head;
        // A last fragment, no extension, no mask: what a server sends here.
        if first & 0xf0 != 0x80 || second & 0x80 != 0 {
            return Err(SocketError::Foreign);
        }
        let length = match second {
            126 => u64::from(self.io.read_u16().await?),
            127 => self.io.read_u64().await?,
            short => u64::from(short),
        };
        if length > LONGEST_FRAME {
            return Err(SocketError::Foreign);
        }
        let mut payload = vec![0; usize::try_from(length).unwrap_or(0)];
        self.io.read_exact(&mut payload).await?;
        Ok((first & 0x0f, payload))
    }

    async fn write(&mut self, kind: u8, payload: &[u8]) -> Result<(), SocketError> {
        let mut frame = vec![0x80 | kind];
        // A client masks what it sends (RFC 6455 section 5.3).
        match u16::try_from(payload.len()) {
            Ok(length @ 0..126) => frame.push(0x80 | length.to_be_bytes()[1]),
            Ok(length) => {
                frame.push(0x80 | 126);
                frame.extend(length.to_be_bytes());
            }
            Err(_) => return Err(SocketError::Foreign),
        }
        let mut mask = [0; 4];
        let _ = getrandom::fill(&mut mask);
        frame.extend(mask);
        frame.extend(
            payload
                .iter()
                .zip(mask.iter().cycle())
                .map(|(byte, mask)| byte ^ mask),
        );
        self.io.write_all(&frame).await?;
        Ok(self.io.flush().await?)
    }
}
