//! The environment variables that the worker knows, and the setting that each one is.
//! How they are read is the `settings` crate's.

use broker::BrokerConfig;
use settings::{
    Kind::{Address, Number, Secret, Text},
    LogConfig, Table, Variable,
};

pub(super) const TABLE: Table = Table(&[OWN, BrokerConfig::VARIABLES, LogConfig::VARIABLES]);

const OWN: &[Variable] = &[
    ("ASPNETCORE_ENVIRONMENT", "environment", Text),
    ("DATA_DIR", "data_dir", Text),
    ("ZIRAAI_WEBAPI_URL", "hub.base_url", Address),
    ("WebAPI__BaseUrl", "hub.base_url", Address),
    ("ZIRAAI_INTERNAL_SECRET", "hub.secret", Secret),
    ("WebAPI__InternalSecret", "hub.secret", Secret),
    ("WebAPI__TimeoutSeconds", "hub.timeout", Number),
    ("WebAPI__BreakerFailures", "hub.breaker_failures", Number),
    ("WebAPI__BreakerPause", "hub.breaker_pause", Number),
    ("Worker__Concurrency", "worker.concurrency", Number),
    ("Worker__PollSeconds", "worker.poll", Number),
    ("Worker__Grace", "worker.grace", Number),
    ("Worker__AnalysisTimeout", "worker.analysis_timeout", Number),
    ("Photo__FetchTimeout", "photo.fetch_timeout", Number),
    ("N8N__WebhookUrl", "n8n.webhook_url", Address),
    ("N8N__AuthHeader", "n8n.auth_header", Text),
    ("N8N__AuthSecret", "n8n.auth_secret", Secret),
    ("N8N__ConnectTimeout", "n8n.connect_timeout", Number),
    ("N8N__ReadTimeout", "n8n.read_timeout", Number),
    ("N8N__TimeoutSeconds", "n8n.total_timeout", Number),
    ("N8N__ParkSeconds", "n8n.park", Number),
    ("N8N__MaxAnswerBytes", "n8n.max_answer_bytes", Number),
    ("PORT", "server.port", Number),
];
