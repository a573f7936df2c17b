//! Group commands: that whoever has a connection changes its groups.

use bytes::Bytes;
use rmp::encode;

use super::{
    WireError,
    invocation::{INFALLIBLE, array, text},
    reader::Reader,
};

/// `[id, server, action, group, connection id]`. The server that has the
/// connection carries it out and acknowledges it to `server`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupCommand<S> {
    /// Names the command to the server that sends it.
    pub id: i32,
    /// That server.
    pub server: S,
    /// What becomes of the connection.
    pub action: GroupAction,
    /// The group.
    pub group: S,
    /// The connection.
    pub connection_id: S,
}

/// What becomes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupAction {
    /// It joins the group.
    Add,
    /// It leaves the group.
    Remove,
}

impl<S: AsRef<str>> GroupCommand<S> {
    /// Its bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        array(&mut out, 5);
        encode::write_sint(&mut out, self.id.into()).expect(INFALLIBLE);
        text(&mut out, self.server.as_ref());
        let action = match self.action {
            GroupAction::Add => 1,
            GroupAction::Remove => 2,
        };
        encode::write_uint(&mut out, action).expect(INFALLIBLE);
        text(&mut out, self.group.as_ref());
        text(&mut out, self.connection_id.as_ref());
        out
    }
}

impl<'a> GroupCommand<&'a str> {
    /// Reads what a server published.
    ///
    /// # Errors
    /// [`WireError`] for anything else.
    pub fn read(payload: &'a Bytes) -> Result<Self, WireError> {
        let mut reader = Reader::new(payload);
        reader.array(5, "GroupCommand")?;
        let (id, server) = (reader.int()?, reader.str()?);
        let action = match reader.int()? {
            1 => GroupAction::Add,
            2 => GroupAction::Remove,
            _ => return Err(WireError::Expected("the action 1 or 2")),
        };
        Ok(Self {
            id,
            server,
            action,
            group: reader.str()?,
            connection_id: reader.str()?,
        })
    }
}
