//! `POST negotiate`: asks the server for a connection.

use serde::Deserialize;

use super::{LinkError, head};
use crate::{http::HttpConnection, server::Server};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Negotiated {
    connection_token: Option<String>,
    connection_id: Option<String>,
    error: Option<String>,
    url: Option<String>,
}

/// Gives the query that names the new connection.
pub(super) async fn negotiate(
    server: &Server,
    connection: &mut HttpConnection,
    token: Option<&str>,
) -> Result<String, LinkError> {
    let (path, query) = server
        .url
        .path
        .split_once('?')
        .unwrap_or((&server.url.path, ""));
    let joint = if query.is_empty() { "" } else { "&" };
    let path = format!(
        "{}/negotiate?{query}{joint}negotiateVersion=1",
        path.trim_end_matches('/')
    );
    let mut request = head(server, "POST", &path, token);
    request.extend_from_slice(b"Content-Length: 0\r\n\r\n");
    let answer = connection.call(&request).await?;
    if answer.status != 200 {
        return Err(LinkError::Refused("negotiate with", answer.status));
    }
    let wrong = |why: &str| LinkError::Negotiate(why.to_owned());
    let answer: Negotiated =
        serde_json::from_slice(&answer.body).map_err(|_| wrong("its answer is not readable"))?;
    if let Some(error) = answer.error {
        return Err(LinkError::Negotiate(error));
    }
    if answer.url.is_some() {
        return Err(wrong("it redirects, which is not followed"));
    }
    let id = answer.connection_token.or(answer.connection_id);
    Ok(format!("id={}", id.ok_or_else(|| wrong("it names none"))?))
}
