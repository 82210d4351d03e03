-- What agents say to the platform from inside their runs: how much of it, guidelines they propose,
-- and issues they split off.

CREATE TABLE speeches (
    run_id BLOB NOT NULL REFERENCES runs (id),
    kind TEXT NOT NULL CHECK (kind IN ('ask', 'progress', 'guideline', 'split')),
    count INTEGER NOT NULL CHECK (count >= 1),
    last_at INTEGER NOT NULL,
    PRIMARY KEY (run_id, kind)
) STRICT;

CREATE TABLE proposals (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    run_id BLOB NOT NULL REFERENCES runs (id),
    issue_id BLOB NOT NULL REFERENCES issues (id),
    round INTEGER NOT NULL CHECK (round >= 1),
    body TEXT NOT NULL CHECK (body <> ''),
    source TEXT,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX proposals_issue ON proposals (issue_id, created_at, id);
CREATE INDEX proposals_run ON proposals (run_id, created_at, id);

-- Which issue a run split off, and from which.
CREATE TABLE splits (
    issue_id BLOB NOT NULL PRIMARY KEY REFERENCES issues (id),
    parent_id BLOB NOT NULL REFERENCES issues (id),
    run_id BLOB NOT NULL REFERENCES runs (id),
    CHECK (issue_id <> parent_id)
) STRICT;
CREATE INDEX splits_parent ON splits (parent_id, issue_id);

-- Hosts that an issue's runs asked for or were refused, and what a person decided.
CREATE TABLE host_asks (
    issue_id BLOB NOT NULL REFERENCES issues (id),
    host TEXT NOT NULL CHECK (host <> ''),
    run_id BLOB REFERENCES runs (id),
    why TEXT,
    asked_at INTEGER NOT NULL,
    decision TEXT CHECK (decision IN ('issue', 'project', 'denied')),
    decided_by TEXT,
    decided_at INTEGER,
    PRIMARY KEY (issue_id, host),
    CHECK ((decision IS NULL) = (decided_by IS NULL)),
    CHECK ((decision IS NULL) = (decided_at IS NULL))
) STRICT;
