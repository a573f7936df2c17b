//! What is sent and not logged: progress, and broadcasts. A client that is away
//! does not get it.

use shared_dto::notification::AnalysisProgress;
use signalr::protocol::RawJson;

use super::Delivery;

/// Progress is left out for a client with more than this unwritten.
const PROGRESS_LIMIT: usize = 16 * 1024;

impl Delivery {
    /// Sends progress to the owner's connections, and returns the number of
    /// those on this node. It never waits: for a slow client here it is dropped.
    #[must_use]
    pub fn progress(&self, progress: &AnalysisProgress) -> usize {
        let Some(serving) = self.serving() else {
            return 0;
        };
        let user = progress.user_id.as_str();
        let arguments = (progress,);
        let mut messages = self.messages("ReceiveAnalysisProgress", &arguments);
        for message in &mut messages {
            serving.context.user(user).send_to_other_nodes(message);
        }
        let connections = serving.context.connections_of(user);
        let mut sent = 0;
        for context in &connections {
            let keeps_up = context.waiting_bytes() <= PROGRESS_LIMIT;
            self.shared.figures.progress(keeps_up);
            if !keeps_up {
                continue;
            }
            for message in &mut messages {
                match context.send(message, 0) {
                    Ok(taken) => sent += usize::from(taken),
                    Err(error) => tracing::error!(%error, "progress cannot be written"),
                }
            }
        }
        sent / messages.len().max(1)
    }

    /// Sends an event that is not logged to every connection, or to those of a
    /// group; gives the number of those on this node. It never waits for them.
    ///
    /// # Errors
    /// When the arguments cannot be written for a client's protocol.
    pub async fn broadcast(
        &self,
        event: &str,
        arguments: &[RawJson],
        group: Option<&str>,
    ) -> Result<usize, signalr::protocol::WriteError> {
        let Some(serving) = self.serving() else {
            return Ok(0);
        };
        let clients = match group {
            Some(group) => serving.context.group(group),
            None => serving.context.all(),
        };
        clients.try_send(event, arguments).await
    }
}
