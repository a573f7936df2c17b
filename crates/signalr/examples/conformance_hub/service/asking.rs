//! Methods that ask a client and wait for its answer.

use std::time::Duration;

use signalr::protocol::RawJson;
use signalr::{Clients, ConnectionId, HubBuilder, HubError, InvokeError, SingleClient};

use super::hub::Golden;

pub(crate) fn register(builder: HubBuilder<Golden>) -> HubBuilder<Golden> {
    builder
        .method("AskClient", ask_client)
        .method("AskCatch", ask_catch)
        .method("AskOther", ask_other)
        .method("AskTimeout", ask_timeout)
        .method("AskString", ask_string)
}

/// What .NET throws for an answer that is none.
struct Exception {
    name: &'static str,
    message: String,
}

impl Exception {
    fn hub(message: impl Into<String>) -> Self {
        Self {
            name: "HubException",
            message: message.into(),
        }
    }

    fn text(&self) -> String {
        format!("{}: {}", self.name, self.message)
    }
}

impl From<InvokeError> for Exception {
    fn from(error: InvokeError) -> Self {
        let name = match &error {
            InvokeError::UnknownConnection(_) | InvokeError::Disconnected(_) => "IOException",
            InvokeError::InsideConnect => "InvalidOperationException",
            _ => "HubException",
        };
        let message = match &error {
            // .NET makes the exception without a text, so it has its default one.
            InvokeError::NoResult => {
                let full = "Microsoft.AspNetCore.SignalR.HubException";
                format!("Exception of type '{full}' was thrown.")
            }
            error => error.to_string(),
        };
        Self { name, message }
    }
}

impl From<Exception> for HubError {
    fn from(exception: Exception) -> Self {
        match exception.name {
            "HubException" => Self::new(exception.message),
            name => Self::internal(name, exception.message),
        }
    }
}

/// Asks for an `int`, and tells a wrong answer as .NET's serializer does.
async fn ask(client: &SingleClient) -> Result<i32, Exception> {
    let answer: RawJson = client.invoke("Question", ()).await?;
    let text = answer.as_str();
    serde_json::from_str(text).map_err(|_| {
        let read = if text.starts_with(['{', '[']) {
            1
        } else {
            text.len()
        };
        Exception::hub(format!(
            "Error trying to deserialize result to Int32. The JSON value could not be converted \
             to System.Int32. Path: $ | LineNumber: 0 | BytePositionInLine: {read}."
        ))
    })
}

/// `answer N` or `ExceptionType: message`.
pub(crate) async fn answer_or_exception(client: &SingleClient) -> String {
    match ask(client).await {
        Ok(answer) => format!("answer {answer}"),
        Err(exception) => exception.text(),
    }
}

async fn ask_client(clients: Clients) -> Result<i32, HubError> {
    ask(&clients.caller()).await.map_err(HubError::from)
}

async fn ask_catch(clients: Clients) -> String {
    answer_or_exception(&clients.caller()).await
}

async fn ask_other(clients: Clients, id: String) -> String {
    match ConnectionId::parse(&id) {
        Some(id) => answer_or_exception(&clients.client(id)).await,
        None => format!("IOException: Connection '{id}' does not exist."),
    }
}

async fn ask_timeout(clients: Clients, millis: u64) -> String {
    let caller = clients.caller();
    let asking = answer_or_exception(&caller);
    match tokio::time::timeout(Duration::from_millis(millis), asking).await {
        Ok(answer) => answer,
        Err(_) => Exception::hub("Invocation canceled by the server.").text(),
    }
}

async fn ask_string(clients: Clients) -> Result<Option<String>, HubError> {
    let answer = clients.caller().invoke("Question", ("arg",)).await;
    answer.map_err(|error| Exception::from(error).into())
}
