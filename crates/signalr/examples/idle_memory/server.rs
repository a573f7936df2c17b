//! The hub that is measured: as small as one can be, with a user for each
//! connection.

use std::error::Error;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use signalr::{Hub, HubServer, Principal};
use tokio::net::{TcpListener, TcpSocket};

pub(crate) const PATH: &str = "/hub";

struct Idle;
impl Hub for Idle {}

/// The token is the user's id.
async fn authenticate(mut request: Request, next: Next) -> Response {
    let query = request.uri().query().unwrap_or_default();
    let token = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("access_token="));
    if let Some(user) = token {
        let principal = Principal::new(user);
        request.extensions_mut().insert(principal);
    }
    next.run(request).await
}

/// Serves on a free port, whose address is the first line of the output.
pub(crate) async fn serve() -> Result<(), Box<dyn Error>> {
    let hub = HubServer::builder(Idle)
        .method("Echo", async |text: String| text)
        .build()?;
    let app = Router::new()
        .layer(hub.layer(PATH))
        .layer(from_fn(authenticate));
    let listener = listen()?;
    super::report(&listener.local_addr()?.to_string());
    axum::serve(listener, app).await?;
    Ok(())
}

/// Ten thousand connects at once need a longer backlog than the usual.
fn listen() -> Result<TcpListener, Box<dyn Error>> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(([127, 0, 0, 1], 0).into())?;
    Ok(socket.listen(4096)?)
}
