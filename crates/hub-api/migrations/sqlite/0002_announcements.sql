-- Which readiness of a job the broker was told of (the job's available_at at
-- that time), and when it is told again unless the job was taken. A job that
-- becomes ready anew has another available_at and so is not announced yet.
ALTER TABLE jobs ADD COLUMN announced_for INTEGER;
ALTER TABLE jobs ADD COLUMN announce_again_at INTEGER;

CREATE INDEX jobs_to_announce
    ON jobs (CASE WHEN announced_for = available_at THEN announce_again_at ELSE available_at END)
    WHERE state = 'queued';
