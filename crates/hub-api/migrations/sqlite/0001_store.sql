-- Times are milliseconds since the Unix epoch, UTC.

-- One row: what holds for the database as a whole.
CREATE TABLE store (
    id                INTEGER PRIMARY KEY CHECK (id = 1),
    -- Random text: cursors of another epoch mean nothing.
    epoch             TEXT    NOT NULL,
    -- The newest notification id. A counter, so that an id is never given twice.
    last_notification INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE analyses (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id          TEXT    NOT NULL,
    status           TEXT    NOT NULL CHECK (status IN ('Processing', 'Completed', 'Failed')),
    crop_type        TEXT,
    notes            TEXT,
    image_key        TEXT,
    image_media_type TEXT,
    image_url        TEXT,
    overlay_key      TEXT,
    progress         TEXT,
    result           TEXT,
    error_message    TEXT,
    created_at       INTEGER NOT NULL,
    completed_at     INTEGER,
    CHECK ((image_key IS NULL) <> (image_url IS NULL)),
    CHECK ((status = 'Processing') = (completed_at IS NULL))
) STRICT;

CREATE INDEX analyses_of_user ON analyses (user_id, id);

CREATE TABLE jobs (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    analysis_id     INTEGER NOT NULL UNIQUE REFERENCES analyses (id),
    state           TEXT    NOT NULL CHECK (state IN ('queued', 'leased', 'parked', 'done', 'failed')),
    attempt         INTEGER NOT NULL DEFAULT 0,
    max_attempts    INTEGER NOT NULL,
    -- The last attempt's fencing token: it is held while leased or parked, and
    -- kept after the attempt's own end so that a repeated post is recognised.
    token           TEXT,
    worker_id       TEXT,
    lease_until     INTEGER,
    available_at    INTEGER NOT NULL,
    deadline        INTEGER NOT NULL,
    -- What an outside analyser answered, and the leases spent on mapping it.
    reply           TEXT,
    reply_leases    INTEGER NOT NULL DEFAULT 0,
    last_error      TEXT,
    -- The last progress stage and how many the timeline holds.
    stage           TEXT,
    stages          INTEGER NOT NULL DEFAULT 0,
    idempotency_key TEXT    NOT NULL,
    trace_context   TEXT,
    -- The log entry that ended the job: the first answer, given back to a repeated post.
    notification_id INTEGER,
    sequence        INTEGER,
    created_at      INTEGER NOT NULL,
    ended_at        INTEGER,
    CHECK ((state IN ('done', 'failed')) = (notification_id IS NOT NULL))
) STRICT;

CREATE INDEX jobs_queued ON jobs (available_at, id) WHERE state = 'queued';
CREATE INDEX jobs_held ON jobs (lease_until) WHERE state IN ('leased', 'parked');
CREATE INDEX jobs_open ON jobs (deadline) WHERE state IN ('queued', 'leased', 'parked');

-- The counter row of each stream. A sequence is taken by updating it in the
-- transaction that writes the entry.
CREATE TABLE streams (
    stream       TEXT    PRIMARY KEY,
    head         INTEGER NOT NULL,
    oldest       INTEGER NOT NULL DEFAULT 1,
    confirmed    INTEGER NOT NULL DEFAULT 0,
    acknowledged INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TABLE log (
    id             INTEGER PRIMARY KEY,
    stream         TEXT    NOT NULL,
    sequence       INTEGER NOT NULL,
    event          TEXT    NOT NULL,
    -- Without notificationId and sequence, image paths unsigned.
    payload        TEXT    NOT NULL,
    analysis_id    INTEGER,
    created_at     INTEGER NOT NULL,
    confirmed_at   INTEGER,
    receipt_source TEXT,
    UNIQUE (stream, sequence)
) STRICT;

CREATE TABLE idempotency_keys (
    id              INTEGER PRIMARY KEY,
    scope           TEXT    NOT NULL,
    key             TEXT    NOT NULL,
    body_hash       TEXT    NOT NULL,
    -- The first answer: an analysis, or a notification with its sequence.
    answer_id       INTEGER NOT NULL,
    answer_sequence INTEGER,
    created_at      INTEGER NOT NULL,
    UNIQUE (scope, key)
) STRICT;

CREATE TABLE timeline (
    id          INTEGER PRIMARY KEY,
    analysis_id INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    kind        TEXT    NOT NULL,
    detail      TEXT    NOT NULL
) STRICT;

CREATE INDEX timeline_of_analysis ON timeline (analysis_id, id);
