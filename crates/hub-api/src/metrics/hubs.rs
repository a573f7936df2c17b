//! What the clients of one hub do.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use signalr::{
    ConnectionEnd, EndStatus, HubObserver, InvocationOutcome, ObservedInvocation, TransportKind,
    protocol::{Headers, HubProtocol},
};
use telemetry::{
    metrics::{Axis, Counter, Gauge, Histogram, LATENCY, Table, Writer},
    trace::{self, TRACEPARENT, TraceParent},
};

use super::returning::Returning;

/// ASP.NET Core's meter.
const SCOPE: (&str, &str) = ("otel_scope_name", "Microsoft.AspNetCore.Http.Connections");

/// The buckets that ASP.NET Core advises for its connections, in seconds.
const LIFETIMES: &[f64] = &[
    0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0,
];

/// In place of a method that the hub does not have.
const UNKNOWN: &str = "unknown";

const RECEIVED: usize = 0;
const SENT: usize = 1;

/// The figures of one client hub: its observer.
#[derive(Debug)]
pub struct HubFigures {
    name: &'static str,
    methods: Axis,
    active: Table<Gauge, 1>,
    lived: Table<Histogram, 2>,
    open: Table<Gauge, 2>,
    total: AtomicI64,
    peak: AtomicI64,
    established: Table<Counter, 2>,
    closed: Table<Counter, 2>,
    failed: Table<Counter, 2>,
    returning: Returning,
    messages: Table<Counter, 2>,
    bytes: Table<Counter, 2>,
    invocations: Table<Counter, 2>,
    took: Table<Histogram, 1>,
}

const TRANSPORTS: [TransportKind; 3] = [
    TransportKind::WebSockets,
    TransportKind::ServerSentEvents,
    TransportKind::LongPolling,
];

fn transports() -> Axis {
    Axis::new("transport", TRANSPORTS.map(TransportKind::name))
}

/// As OpenTelemetry's conventions write them.
fn tags() -> Axis {
    let tags = ["web_sockets", "server_sent_events", "long_polling"];
    Axis::new("signalr_transport", tags)
}

fn transport(kind: TransportKind) -> usize {
    match kind {
        TransportKind::WebSockets => 0,
        TransportKind::ServerSentEvents => 1,
        TransportKind::LongPolling => 2,
    }
}

fn protocol(protocol: HubProtocol) -> usize {
    match protocol {
        HubProtocol::Json => 0,
        HubProtocol::MessagePack => 1,
    }
}

impl HubFigures {
    pub(super) fn new(name: &'static str, methods: &[&str]) -> Self {
        let methods = Axis::new("method", methods.iter().copied().chain([UNKNOWN]));
        let protocols = || Axis::new("protocol", HubProtocol::ALL.map(HubProtocol::name));
        let statuses = [
            EndStatus::NormalClosure,
            EndStatus::Timeout,
            EndStatus::AppShutdown,
        ];
        let statuses = Axis::new("signalr_connection_status", statuses.map(EndStatus::name));
        let outcomes = [
            InvocationOutcome::Completed,
            InvocationOutcome::Refused,
            InvocationOutcome::Failed,
        ];
        let outcomes = Axis::new("outcome", outcomes.map(InvocationOutcome::name));
        let reasons = || Axis::new("reason", ConnectionEnd::REASONS.iter().copied());
        let directions = || Axis::new("direction", ["received", "sent"]);
        Self {
            name,
            active: Table::new([tags()], Gauge::default),
            lived: Table::new([statuses, tags()], || Histogram::new(LIFETIMES)),
            open: Table::new([transports(), protocols()], Gauge::default),
            total: AtomicI64::new(0),
            peak: AtomicI64::new(0),
            established: Table::new([transports(), protocols()], Counter::default),
            closed: Table::new([transports(), reasons()], Counter::default),
            failed: Table::new([transports(), reasons()], Counter::default),
            returning: Returning::default(),
            messages: Table::new([transports(), directions()], Counter::default),
            bytes: Table::new([transports(), directions()], Counter::default),
            invocations: Table::new([methods.clone(), outcomes], Counter::default),
            took: Table::new([methods.clone()], || Histogram::new(LATENCY)),
            methods,
        }
    }

    /// Clients that are connected, by the name of their transport.
    pub(super) fn open_by_transport(&self) -> impl Iterator<Item = (&str, u64)> {
        let rows = self.open.rows();
        rows.map(|([(_, transport), _], open)| (transport, open.get().max(0).unsigned_abs()))
    }

    /// A user connected, maybe again.
    pub fn user_came(&self, user: &str) {
        self.returning.came(user);
    }

    /// A connection of a user is over.
    pub fn user_left(&self, user: &str) {
        self.returning.left(user);
    }

    /// Connections that were ever established.
    #[must_use]
    pub fn connections_ever(&self) -> u64 {
        self.established.cells().map(Counter::get).sum()
    }

    /// Connections that are open.
    #[must_use]
    pub fn connections_open(&self) -> i64 {
        self.open.cells().map(Gauge::get).sum()
    }

    /// The most that were open at the same time.
    #[must_use]
    pub fn connections_peak(&self) -> i64 {
        self.peak.load(Ordering::Relaxed)
    }

    fn labelled<'t, M, const N: usize>(
        &self,
        table: &'t Table<M, N>,
    ) -> impl Iterator<Item = (Vec<(&'static str, &'t str)>, &'t M)> {
        let hub = ("hub", self.name);
        table.rows().map(move |(labels, cell)| {
            let labels = [hub].into_iter().chain(labels).collect();
            (labels, cell)
        })
    }
}

impl HubObserver for HubFigures {
    fn attached(&self, kind: TransportKind) {
        self.active.at([transport(kind)]).increment();
    }

    fn established(&self, kind: TransportKind, spoken: HubProtocol) {
        let at = [transport(kind), protocol(spoken)];
        self.established.at(at).increment();
        self.open.at(at).increment();
        let open = self.total.fetch_add(1, Ordering::Relaxed) + 1;
        self.peak.fetch_max(open, Ordering::Relaxed);
    }

    fn ended(&self, end: &ConnectionEnd) {
        let kind = transport(end.transport);
        self.active.at([kind]).decrement();
        let status = match end.status {
            EndStatus::NormalClosure => 0,
            EndStatus::Timeout => 1,
            EndStatus::AppShutdown => 2,
        };
        self.lived.at([status, kind]).record(end.lived);
        let reasons = ConnectionEnd::REASONS.iter();
        let reason = reasons.take_while(|each| **each != end.reason).count();
        match end.protocol {
            Some(spoken) => {
                self.open.at([kind, protocol(spoken)]).decrement();
                self.total.fetch_sub(1, Ordering::Relaxed);
                self.closed.at([kind, reason]).increment();
            }
            None => self.failed.at([kind, reason]).increment(),
        }
    }

    fn received(&self, kind: TransportKind, messages: usize, bytes: usize) {
        let at = [transport(kind), RECEIVED];
        self.messages.at(at).add(messages as u64);
        self.bytes.at(at).add(bytes as u64);
    }

    fn sent(&self, kind: TransportKind, messages: usize, bytes: usize) {
        let at = [transport(kind), SENT];
        self.messages.at(at).add(messages as u64);
        self.bytes.at(at).add(bytes as u64);
    }

    fn invoked(&self, call: &ObservedInvocation<'_>) {
        let name = if call.known { call.method } else { UNKNOWN };
        let method = self.methods.position(name);
        let outcome = match call.outcome {
            InvocationOutcome::Completed => 0,
            InvocationOutcome::Refused => 1,
            InvocationOutcome::Failed => 2,
        };
        self.invocations.at([method, outcome]).increment();
        self.took.at([method]).record(call.took);
    }

    fn span(&self, method: &str, headers: &Headers<'_>) -> tracing::Span {
        if !trace::is_on() {
            return tracing::Span::none();
        }
        let known = &self.methods.values[self.methods.position(method)];
        let name = format!("{}/{known}", self.name);
        let span = tracing::info_span!("invocation", otel.name = name, otel.kind = "server");
        let parent = headers.0.iter().find(|(name, _)| name == TRACEPARENT);
        let parent = parent.and_then(|(_, text)| TraceParent::parse(text));
        trace::adopt(&span, parent);
        span
    }
}

/// Writes the figures of all hubs.
pub(super) fn write(hubs: &[Arc<HubFigures>], writer: &mut Writer<'_>) -> fmt::Result {
    write_meters(hubs, writer)?;
    let open = hubs.iter().flat_map(|hub| hub.labelled(&hub.open));
    writer.values(
        "tendril_signalr_connections",
        "Clients that are connected.",
        open.map(|(labels, gauge)| (labels, gauge.get() as f64)),
    )?;
    let peak = hubs.iter().map(|hub| {
        let labels = [("hub", hub.name)];
        (labels, hub.connections_peak() as f64)
    });
    let help = "The most clients that were connected at the same time.";
    writer.values("tendril_signalr_connections_peak", help, peak)?;
    let returned = hubs
        .iter()
        .map(|hub| ([("hub", hub.name)], hub.returning.count()));
    let help = "Clients of users who had left within the minute before.";
    writer.totals("tendril_signalr_reconnects", help, returned)?;
    counters(hubs, writer)?;
    writer.histograms(
        "tendril_signalr_invocation_seconds",
        "Until a method returned.",
        hubs.iter().flat_map(|hub| hub.labelled(&hub.took)),
    )
}

fn counters(hubs: &[Arc<HubFigures>], writer: &mut Writer<'_>) -> fmt::Result {
    type Chosen = fn(&HubFigures) -> &Table<Counter, 2>;
    let tables: [(&str, &str, Chosen); 6] = [
        (
            "tendril_signalr_connections_established",
            "Clients whom the hub took.",
            |hub| &hub.established,
        ),
        (
            "tendril_signalr_connections_closed",
            "Established connections that ended, by what ended them.",
            |hub| &hub.closed,
        ),
        (
            "tendril_signalr_connections_failed",
            "Attached connections that were never established, by what ended them.",
            |hub| &hub.failed,
        ),
        ("tendril_signalr_messages", "Hub messages.", |hub| {
            &hub.messages
        }),
        ("tendril_signalr_bytes", "Bytes of hub messages.", |hub| {
            &hub.bytes
        }),
        (
            "tendril_signalr_invocations",
            "Calls of clients; those of methods that do not exist under one name.",
            |hub| &hub.invocations,
        ),
    ];
    for (name, help, table) in tables {
        let rows = hubs.iter().flat_map(|hub| hub.labelled(table(hub)));
        let rows = rows.map(|(labels, counter)| (labels, counter.get()));
        writer.totals(name, help, rows)?;
    }
    Ok(())
}

/// ASP.NET Core's two meters, for all hubs together, as its exporter to
/// Prometheus writes them.
fn write_meters(hubs: &[Arc<HubFigures>], writer: &mut Writer<'_>) -> fmt::Result {
    let tags = tags();
    let active = tags.values.iter().enumerate().map(|(at, tag)| {
        let labels = [SCOPE, (tags.name, tag)];
        let open: i64 = hubs.iter().map(|hub| hub.active.at([at]).get()).sum();
        (labels, open as f64)
    });
    let help = "Number of connections that are currently active on the server.";
    writer.values("signalr_server_active_connections", help, active)?;
    let lived = hubs.iter().flat_map(|hub| {
        let rows = hub.lived.rows();
        rows.map(move |(labels, histogram)| {
            let hub = ("hub", hub.name);
            let labels: Vec<_> = [SCOPE, hub].into_iter().chain(labels).collect();
            (labels, histogram)
        })
    });
    let help = "The duration of connections on the server.";
    writer.histograms("signalr_server_connection_duration_seconds", help, lived)
}
