//! One connection to the broker, from its first byte to its end.

use std::time::Duration;

use futures_util::StreamExt as _;
use lapin::{
    Channel, Connection, ConnectionProperties, DefaultConnectionBuilder, Event,
    options::QueueDeclareOptions, tcp::OwnedTLSConfig, types::FieldTable,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{sleep, timeout},
};

use crate::{
    Broker,
    error::{LinkError, describe},
    state::LinkState,
};

/// Opening a channel, asking for a queue: the broker answers at once or is ill.
const PATIENCE: Duration = Duration::from_secs(10);

/// Should lapin not say that the connection is gone, its state does.
const LOOK: Duration = Duration::from_secs(1);

/// Between two questions for the queue.
const PROBE: Duration = Duration::from_secs(15);

/// A connection. Dropping it closes it.
#[derive(Debug)]
pub struct Link {
    connection: Connection,
}

impl Link {
    /// Connects, and gives the connection a name that the broker shows.
    ///
    /// # Errors
    /// [`LinkError`] when there is no connection within the broker's time.
    pub async fn open(broker: &Broker, name: &str) -> Result<Self, LinkError> {
        timeout(broker.connect_timeout, Self::connect(broker, name))
            .await
            .unwrap_or(Err(LinkError::TimedOut("connecting")))
    }

    async fn connect(broker: &Broker, name: &str) -> Result<Self, LinkError> {
        if !broker.address.is_encrypted() {
            greet(broker).await?;
        }
        let heartbeat = u16::try_from(broker.heartbeat.as_secs()).unwrap_or(u16::MAX);
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let tls = OwnedTLSConfig {
            identity: None,
            cert_chain: broker.ca.clone(),
        };
        let builder = DefaultConnectionBuilder::new()?
            .with_uri(broker.address.to_uri(heartbeat))
            .with_properties(properties)
            .with_tls_config(tls);
        let connection = builder
            .connect()
            .await
            .map_err(|error| LinkError::Unreachable(describe(&error)))?;
        Ok(Self { connection })
    }

    /// A new channel.
    ///
    /// # Errors
    /// [`LinkError`] when the broker gives none.
    pub async fn channel(&self) -> Result<Channel, LinkError> {
        let channel = timeout(PATIENCE, self.connection.create_channel()).await;
        Ok(channel.map_err(|_| LinkError::TimedOut("opening a channel"))??)
    }

    /// Whether the broker takes nothing that is published here (memory or disk
    /// alarm). lapin then writes nothing at all on this connection.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.connection.status().blocked()
    }

    /// Ends when the connection is gone. The end of a channel is told as an
    /// event too, and is the matter of whoever uses the channel.
    pub async fn lost(&self) -> LinkError {
        let mut events = Box::pin(self.connection.events_listener());
        let mut error = LinkError::Lost("it is closed".to_owned());
        loop {
            tokio::select! {
                event = events.next() => match event {
                    Some(Event::Error(told)) => error = told.into(),
                    Some(_) => {}
                    None => sleep(LOOK).await,
                },
                () = sleep(LOOK) => {}
            }
            if !self.connection.status().connected() {
                return error;
            }
        }
    }

    /// Asks for `queue` again and again, on a channel of its own, and tells
    /// `state` its depth. Ends when there is no answer, or when nobody consumes
    /// from the queue although this process should: silence is an error too.
    pub async fn watch(&self, queue: &str, consumed_here: bool, state: &LinkState) -> LinkError {
        let channel = match self.channel().await {
            Ok(channel) => channel,
            Err(error) => return error,
        };
        let passive = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        loop {
            sleep(PROBE).await;
            if self.is_blocked() {
                // The question would not leave this process.
                continue;
            }
            let asked = channel.queue_declare(queue.into(), passive, FieldTable::default());
            match timeout(PATIENCE, asked).await {
                Ok(Ok(found)) if consumed_here && found.consumer_count() == 0 => {
                    return LinkError::Cancelled;
                }
                Ok(Ok(found)) => state.has_depth(found.message_count()),
                Ok(Err(error)) => return error.into(),
                // It may have become blocked meanwhile.
                Err(_) if self.is_blocked() => {}
                Err(_) => return LinkError::TimedOut("asking for the queue"),
            }
        }
    }

    /// Says goodbye, for a moment at most.
    pub async fn close(&self) {
        let closed = self.connection.close(200, "leaving".into());
        // A broker that does not answer sees the connection end.
        let _ = timeout(Duration::from_secs(2), closed).await;
    }
}

/// Waits for the broker's first byte on a connection that is then dropped.
///
/// lapin runs each connection on a thread, which lives on when connecting is
/// given up: while a broker is frozen, its port still takes connections, and
/// threads would pile up. Behind TLS the server does not speak first, so that
/// this is done for plain connections alone.
async fn greet(broker: &Broker) -> Result<(), LinkError> {
    let unreachable = |error: std::io::Error| LinkError::Unreachable(error.to_string());
    let mut stream = TcpStream::connect(broker.address.host_and_port())
        .await
        .map_err(unreachable)?;
    stream
        .write_all(b"AMQP\x00\x00\x09\x01")
        .await
        .map_err(unreachable)?;
    stream.read_u8().await.map(drop).map_err(unreachable)
}
