//! What is measured: the runs of the load tester, and the figures that each is for.

use crate::{figures::Figure, servers::Server};

/// One run of the load tester, against several servers.
pub(crate) struct Run {
    pub(crate) name: &'static str,
    /// Its command line but for the server and the time, split at spaces.
    pub(crate) arguments: &'static str,
    pub(crate) servers: &'static [Server],
    pub(crate) figures: &'static [Figure],
    /// Needs PostgreSQL and Redis.
    pub(crate) needs_parts: bool,
}

const fn less(
    name: &'static str,
    place: &'static str,
    unit: &'static str,
    goal: &'static str,
) -> Figure {
    Figure {
        name,
        place,
        unit,
        more: false,
        goal,
    }
}

const fn more(
    name: &'static str,
    place: &'static str,
    unit: &'static str,
    goal: &'static str,
) -> Figure {
    Figure {
        name,
        place,
        unit,
        more: true,
        goal,
    }
}

const MEMORY: &str = "/server/memoryAConnection";
const CPU: &str = "/server/cpuUsAMessage";
const CPU_OPEN: &str = "/server/cpuUsAnOpen";
const A_SECOND: &str = "/messagesPerSecond";
const P50: &str = "/latency/p50Us";
const P99: &str = "/latency/p99Us";

const BOTH: &[Server] = &[Server::Floor, Server::Hub];
const HUB: &[Server] = &[Server::Hub];

const fn run(name: &'static str, arguments: &'static str, figures: &'static [Figure]) -> Run {
    Run {
        name,
        arguments,
        servers: BOTH,
        figures,
        needs_parts: false,
    }
}

const fn hub_alone(name: &'static str, arguments: &'static str, figures: &'static [Figure]) -> Run {
    Run {
        name,
        arguments,
        servers: HUB,
        figures,
        needs_parts: false,
    }
}

/// All the connections that this machine's limit of open files allows: measured
/// when it is asked for.
pub(crate) const CROWD: &str = "crowd of 19,000";

/// Clients that come and go: measured when it is asked for, as it is worth
/// something only over a long time.
pub(crate) const CHURN: &str = "churn";

/// Everything that is measured, in the table's order.
pub(crate) const RUNS: &[Run] = &[
    run(
        "idle",
        "idle --connections 10000",
        &[
            less(
                "user memory an idle connection, 10,000 of them",
                MEMORY,
                "B",
                "<= 4,096 B",
            ),
            less("CPU an open", CPU_OPEN, "us", "<= 2x"),
            more(
                "connections opened a second",
                "/opensPerSecond",
                "/s",
                "above ASP.NET",
            ),
        ],
    ),
    run(
        "progress at 1,000 a second",
        "notify --progress --size 260 --connections 1000 --rate 1000",
        &[
            less(
                "CPU a notification, not logged, 1,000 a second",
                CPU,
                "us",
                "<= 1.5x",
            ),
            less("p50, not logged, 1,000 a second", P50, "us", ""),
            less("p99, not logged, 1,000 a second", P99, "us", ""),
        ],
    ),
    run(
        "progress, most",
        "notify --progress --size 260 --connections 1000 --rate 0 --posters 8",
        &[
            less(
                "CPU a notification, not logged, as many as go",
                CPU,
                "us",
                "<= 1.5x",
            ),
            more(
                "most notifications a second, not logged",
                A_SECOND,
                "/s",
                "above ASP.NET",
            ),
        ],
    ),
    run(
        "durable at 1,000 a second",
        "notify --connections 1000 --rate 1000 --posters 64",
        &[
            less(
                "CPU a notification, durable, 1,000 a second",
                CPU,
                "us",
                "<= 3x",
            ),
            less("p50, durable, 1,000 a second", P50, "us", ""),
            less("p99, durable, 1,000 a second", P99, "us", "< 5,000 us"),
        ],
    ),
    run(
        "durable, most",
        "notify --connections 1000 --rate 0 --posters 256",
        &[
            less(
                "CPU a notification, durable, as many as go",
                CPU,
                "us",
                "<= 3x",
            ),
            more(
                "most notifications a second, durable",
                A_SECOND,
                "/s",
                "above ASP.NET without a log",
            ),
        ],
    ),
    run(
        "broadcast to 1,000",
        "broadcast --connections 1000 --rate 20",
        &[less(
            "CPU a broadcast delivery, 1,000 connections",
            CPU,
            "us",
            "<= 1.3x",
        )],
    ),
    run(
        "broadcast to 5,000",
        "broadcast --connections 5000 --rate 4",
        &[less(
            "CPU a broadcast delivery, 5,000 connections",
            CPU,
            "us",
            "<= 1.3x",
        )],
    ),
    run(
        "broadcast to 15,000",
        "broadcast --connections 15000 --rate 1",
        &[less(
            "CPU a broadcast delivery, 15,000 connections",
            CPU,
            "us",
            "<= 1.3x",
        )],
    ),
    run(
        "echo",
        "echo --connections 100 --rate 0",
        &[
            more(
                "invocations answered a second, 100 clients",
                A_SECOND,
                "/s",
                "above ASP.NET",
            ),
            less("CPU an invocation", CPU, "us", ""),
        ],
    ),
    hub_alone(
        "messagepack",
        "notify --connections 1000 --rate 1000 --posters 64 --protocol messagepack",
        &[less(
            "CPU a notification, durable, MessagePack",
            CPU,
            "us",
            "",
        )],
    ),
    hub_alone(
        "sse",
        "notify --connections 1000 --rate 1000 --posters 64 --transport sse",
        &[less(
            "CPU a notification, durable, Server-Sent Events",
            CPU,
            "us",
            "",
        )],
    ),
    hub_alone(
        "long polling",
        "notify --connections 1000 --rate 1000 --posters 64 --transport lp",
        &[less(
            "CPU a notification, durable, long polling",
            CPU,
            "us",
            "",
        )],
    ),
    hub_alone(
        "idle sse",
        "idle --connections 5000 --transport sse",
        &[less(
            "user memory an idle connection, Server-Sent Events",
            MEMORY,
            "B",
            "",
        )],
    ),
    hub_alone(
        "idle lp",
        "idle --connections 5000 --transport lp",
        &[less(
            "user memory an idle connection, long polling",
            MEMORY,
            "B",
            "",
        )],
    ),
    Run {
        name: CROWD,
        arguments: "broadcast --connections 19000 --rate 1 --settle 10s",
        servers: BOTH,
        figures: &[
            less("memory of a connection, 19,000 of them", MEMORY, "B", ""),
            less("memory with 19,000", "/server/memoryWith", "B", ""),
            less("memory before them", "/server/memoryBefore", "B", ""),
            less(
                "memory after they left",
                "/server/memoryAfter",
                "B",
                "as before",
            ),
            more("broadcasts to 19,000 that came", "/received", "", "all"),
            less("broadcasts that were lost", "/lost", "", "0"),
        ],
        needs_parts: false,
    },
    hub_alone(
        CHURN,
        "churn --connections 500 --users 1000 --rate 100 --stay 2s --settle 20s",
        &[
            more("clients that came and went", "/opened", "", ""),
            less("memory before them", "/server/memoryBefore", "B", ""),
            less(
                "highest memory while they came and went",
                "/further/highest memory of the server, KiB",
                "KiB",
                "flat",
            ),
            less(
                "memory after the last one left",
                "/server/memoryAfter",
                "B",
                "flat",
            ),
        ],
    ),
    Run {
        name: "postgres",
        arguments: "notify --connections 1000 --rate 1000 --posters 64",
        servers: &[Server::OnPostgres],
        figures: &[
            less(
                "CPU of the hub a notification, durable, PostgreSQL",
                CPU,
                "us",
                "",
            ),
            less("p99, durable, PostgreSQL", P99, "us", ""),
        ],
        needs_parts: true,
    },
    Run {
        name: "two hubs",
        arguments: "notify --connections 1000 --rate 1000 --posters 64",
        servers: &[Server::OneOfTwo],
        figures: &[
            less(
                "CPU of one hub of two a notification, durable, PostgreSQL and Redis",
                CPU,
                "us",
                "",
            ),
            less(
                "p99, posted to one hub of two, PostgreSQL and Redis",
                P99,
                "us",
                "",
            ),
        ],
        needs_parts: true,
    },
];
