//! Long polling: a GET that waits, and POST to send.

use super::{LinkError, Posts, connect, head, negotiate};
use crate::{http::HttpConnection, server::Server};

/// A client that polls.
#[derive(Debug)]
pub(crate) struct Polls {
    connection: HttpConnection,
    request: Vec<u8>,
    /// A poll is under way.
    is_waiting: bool,
    pub(super) posts: Posts,
}

pub(super) async fn open(
    server: &Server,
    number: u64,
    token: Option<&str>,
) -> Result<Polls, LinkError> {
    let mut connection = HttpConnection::new(connect(server, number).await?);
    let id = negotiate::negotiate(server, &mut connection, token).await?;
    let path = server.url.path_with(&id);
    let mut request = head(server, "GET", &path, token);
    request.extend_from_slice(b"\r\n");
    let mut polls = Polls {
        connection: HttpConnection::new(connect(server, number).await?),
        request,
        is_waiting: false,
        posts: Posts {
            connection: Some(connection),
            number,
            path,
            token: token.map(str::to_owned),
        },
    };
    // The first poll is answered at once and shows that the connection stands.
    polls.receive(&mut Vec::new()).await?;
    Ok(polls)
}

impl Polls {
    pub(super) async fn receive(&mut self, data: &mut Vec<u8>) -> Result<(), LinkError> {
        if !self.is_waiting {
            self.connection.ask(&self.request);
            self.is_waiting = true;
        }
        let answer = self.connection.answer().await?;
        self.is_waiting = false;
        match answer.status {
            200 => {
                data.extend_from_slice(&answer.body);
                Ok(())
            }
            204 => Err(LinkError::Closed),
            status => Err(LinkError::Refused("a poll with", status)),
        }
    }

    pub(super) async fn delete(&mut self, server: &Server) {
        // A server that is gone needs no farewell.
        let _ = self.posts.call(server, "DELETE", b"").await;
    }
}
