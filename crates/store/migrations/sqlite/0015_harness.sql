-- The agent of a job's issue, where the job starts one.
ALTER TABLE jobs ADD COLUMN agent TEXT;
UPDATE jobs SET agent = (SELECT i.agent FROM issues i WHERE i.id = jobs.issue_id) WHERE kind = 'author' AND phase IN ('queued', 'leased');

-- The harness that it needs, as a claim noted that came upon it and has not got it; nothing where none did.
-- What counts are the project's settings and the agent.
ALTER TABLE jobs ADD COLUMN harness TEXT NOT NULL DEFAULT '';

-- What was noted stands apart, so that passing it over reads nothing of it.
DROP INDEX jobs_queued;
CREATE INDEX jobs_queued ON jobs (image, harness, priority, created_at, id, not_before, kind) WHERE phase = 'queued';
