-- What a person's desk stands on: what waits for them, what they put off, what they have looked
-- at, what they mean to say; and passwords.

-- A review may be taken back; it stays on record.
ALTER TABLE reviews ADD COLUMN withdrawn_at BIGINT;

-- Only the hash, as a PHC string.
CREATE TABLE passwords (
    user_id UUID NOT NULL PRIMARY KEY REFERENCES users (id),
    hash TEXT NOT NULL CHECK (hash <> ''),
    updated_at BIGINT NOT NULL
);

CREATE TABLE desk_parks (
    user_id UUID NOT NULL REFERENCES users (id),
    issue_id UUID NOT NULL REFERENCES issues (id),
    until BIGINT NOT NULL,
    PRIMARY KEY (user_id, issue_id)
);
CREATE INDEX desk_parks_until ON desk_parks (user_id, until, issue_id);

-- The object id of the content that was seen; zeros for a file that the change deletes.
CREATE TABLE viewed_files (
    user_id UUID NOT NULL REFERENCES users (id),
    issue_id UUID NOT NULL REFERENCES issues (id),
    path TEXT COLLATE "C" NOT NULL CHECK (path <> ''),
    blob TEXT NOT NULL CHECK (length(blob) = 40),
    viewed_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, issue_id, path)
);

CREATE TABLE review_drafts (
    id UUID NOT NULL PRIMARY KEY,
    user_id UUID NOT NULL REFERENCES users (id),
    issue_id UUID NOT NULL REFERENCES issues (id),
    path TEXT NOT NULL CHECK (path <> ''),
    line BIGINT CHECK (line >= 1),
    body TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX review_drafts_user ON review_drafts (user_id, issue_id, created_at, id);

-- Only what waits for a person, which is little however many issues there are.
CREATE INDEX issues_waiting ON issues (project_id, updated_at, id) WHERE phase IN ('in-review', 'needs-input') OR (phase = 'ready' AND failed IS NOT NULL);

-- Only jobs with a time to wait for, so that the others pay nothing.
CREATE INDEX jobs_parked ON jobs (project_id, not_before, id) WHERE phase = 'queued' AND not_before <> 0;
