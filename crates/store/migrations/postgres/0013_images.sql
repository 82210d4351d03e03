-- Projects that name an image, and runners that can have one.

ALTER TABLE runners ADD COLUMN images BIGINT NOT NULL DEFAULT 0 CHECK (images IN (0, 1));

-- Repeats what config says.
ALTER TABLE projects ADD COLUMN image BIGINT NOT NULL DEFAULT 0 CHECK (image IN (0, 1));

-- A note that a claim may pass the job over where it cannot have images; what counts is the project.
ALTER TABLE jobs ADD COLUMN image BIGINT NOT NULL DEFAULT 0 CHECK (image IN (0, 1));

-- What was noted stands apart, so that passing it over reads nothing of it.
DROP INDEX jobs_queued;
CREATE INDEX jobs_queued ON jobs (image, priority, created_at, id, not_before, kind) WHERE phase = 'queued';
DROP INDEX jobs_urgent;
CREATE INDEX jobs_urgent ON jobs (image, created_at, id, not_before) WHERE phase = 'queued' AND kind = 'tryout';
