//! A chat: `cargo run -p signalr --example chat`, then connect any SignalR
//! client to `http://localhost:5000/chat`.

use axum::{Router, routing::get};
use signalr::{Clients, Context, Groups, Hub, HubError, HubServer};

struct Chat;

impl Hub for Chat {
    async fn on_connected(&self, context: &Context) -> Result<(), HubError> {
        context.clients().caller().send("Welcome", (context.connection_id(),)).await;
        Ok(())
    }
}

async fn send(clients: Clients, user: String, text: String) {
    clients.all().send("Message", (user, text)).await;
}

async fn join(context: Context, groups: Groups, room: String) {
    groups.add(context.connection_id(), &room).await;
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let chat = HubServer::builder(Chat).method("Send", send).method("Join", join).build()?;
    let app = Router::new().route("/", get(|| async { "chat" })).layer(chat.layer("/chat"));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:5000").await?;
    Ok(axum::serve(listener, app).await?)
}
