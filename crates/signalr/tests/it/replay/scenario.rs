//! What a recording says, in types. Never reads a file or touches a socket.

/// One recorded conversation; it stands alone.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    /// The recording's file without its extension.
    pub(crate) file: String,
    pub(crate) name: String,
    pub(crate) about: String,
    pub(crate) steps: Vec<Step>,
}

impl Scenario {
    /// `file/name`, which names a scenario in reports and tables.
    pub(crate) fn title(&self) -> String {
        format!("{}/{}", self.file, self.name)
    }

    /// Whether the client leaves the server's close frames unanswered: only a
    /// remark for human readers says so.
    pub(crate) fn leaves_close_unanswered(&self) -> bool {
        let says = |text: &str| {
            ["never sent a close frame", "silent", "does not answer"]
                .iter()
                .any(|phrase| text.contains(phrase))
        };
        self.steps.iter().any(|step| {
            says(&step.note) || matches!(&step.action, Action::Note(text) if says(text))
        })
    }

    /// Server Acks may fall into a neighbouring step, except where the
    /// recording is about them.
    pub(crate) fn is_about_acks(&self) -> bool {
        self.name.starts_with("acks")
    }

    /// The time the scenario takes by its own waits, to start long ones first.
    pub(crate) fn waits(&self) -> u64 {
        self.steps
            .iter()
            .map(|step| match step.action {
                Action::Wait(millis) | Action::Silence(millis) => millis,
                _ => step.after_ms.unwrap_or(0),
            })
            .sum()
    }
}

/// A step with the connection that it belongs to.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) conn: String,
    pub(crate) action: Action,
    /// When the server acted, measured; compared loosely.
    pub(crate) after_ms: Option<u64>,
    pub(crate) note: String,
}

#[derive(Debug, Clone)]
pub(crate) enum Action {
    Http(Request, Expected),
    HttpStart(String, Request),
    HttpEnd(String, Expected),
    HttpDrop(String),
    HttpBroken(Request),
    WsOpen(Request, Expected),
    SseOpen(Request, Expected),
    Send(OutgoingFrame),
    Recv { opcode: u8, text: String },
    RecvLengths(Vec<usize>),
    SseRecv(String),
    SseEnd(String),
    ClientClose { code: u16, reason: String },
    ServerClose { code: u16, reason: String },
    TcpDrop,
    TcpEnd,
    Silence(u64),
    Wait(u64),
    ServerStop,
    Note(String),
}

impl Action {
    /// Whether this step only takes what the server sends.
    pub(crate) fn is_receive(&self) -> bool {
        matches!(
            self,
            Self::Recv { .. }
                | Self::RecvLengths(_)
                | Self::SseRecv(_)
                | Self::SseEnd(_)
                | Self::ServerClose { .. }
                | Self::TcpEnd
                | Self::Note(_)
        )
    }
}

/// A request as the client wrote it, placeholders still in it.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<String>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

#[derive(Debug, Clone)]
pub(crate) enum Expected {
    /// The socket was closed without an answer.
    Aborted,
    Answer {
        status: u16,
        /// `None` where the recording shows no headers at all.
        headers: Option<Vec<(String, String)>>,
        body: Option<String>,
    },
}

/// A client frame in full control of its header.
#[derive(Debug, Clone)]
pub(crate) struct OutgoingFrame {
    pub(crate) payload: Payload,
    pub(crate) opcode: u8,
    pub(crate) fin: bool,
    pub(crate) mask: bool,
    pub(crate) rsv: u8,
}

#[derive(Debug, Clone)]
pub(crate) enum Payload {
    Text(String),
    Bytes(Vec<u8>),
}
