-- A host may be missed by an issue's author and by its proof: two questions, since a proof leans on
-- nothing that was allowed for one issue.

ALTER TABLE host_asks RENAME TO host_asks_before;
CREATE TABLE host_asks (
    issue_id BLOB NOT NULL REFERENCES issues (id),
    host TEXT NOT NULL CHECK (host <> ''),
    need TEXT NOT NULL CHECK (need IN ('author', 'proof')),
    run_id BLOB REFERENCES runs (id),
    why TEXT,
    asked_at INTEGER NOT NULL,
    decision TEXT CHECK (decision IN ('issue', 'project', 'denied')),
    decided_by TEXT,
    decided_at INTEGER,
    PRIMARY KEY (issue_id, host, need),
    CHECK (need = 'author' OR decision <> 'issue'),
    CHECK ((decision IS NULL) = (decided_by IS NULL)),
    CHECK ((decision IS NULL) = (decided_at IS NULL))
) STRICT;
INSERT INTO host_asks (issue_id, host, need, run_id, why, asked_at, decision, decided_by, decided_at)
    SELECT issue_id, host, 'author', run_id, why, asked_at, decision, decided_by, decided_at FROM host_asks_before;
DROP TABLE host_asks_before;
