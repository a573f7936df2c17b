-- How often an entry was handed to connections of its user, and when last.
ALTER TABLE log ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE log ADD COLUMN attempted_at INTEGER;
