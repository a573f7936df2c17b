-- How often an entry was handed to connections of its user, and when last.
ALTER TABLE log
    ADD COLUMN attempts BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN attempted_at BIGINT;
