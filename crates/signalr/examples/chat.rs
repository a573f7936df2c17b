//! A chat with rooms: `cargo run -p signalr --example chat`, then connect any
//! SignalR client to `http://localhost:5000/chat`.

use axum::Router;
use signalr::{Clients, Context, Groups, Hub, HubServer};

signalr::events! {
    event Message(user: String, text: String);
}

struct Chat;
impl Hub for Chat {}

async fn join(context: Context, groups: Groups, room: String) {
    groups.add(context.connection_id(), &room).await;
}

async fn send(clients: Clients, room: String, user: String, text: String) {
    clients.group(&room).emit(Message { user, text }).await;
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let chat = HubServer::builder(Chat)
        .method("Join", join)
        .method("Send", send)
        .build()?;
    let app = Router::new().layer(chat.layer("/chat"));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:5000").await?;
    Ok(axum::serve(listener, app).await?)
}
