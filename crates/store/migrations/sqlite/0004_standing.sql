-- Where what waits for a person stands on the desk, so that the first of many are found without
-- looking at all of them; and how large a change is, so that a page need not ask git.

ALTER TABLE pull_heads ADD COLUMN size TEXT;

-- One row for each issue that waits. A stale one is computed anew.
CREATE TABLE standings (
    issue_id BLOB NOT NULL PRIMARY KEY REFERENCES issues (id),
    project_id BLOB NOT NULL REFERENCES projects (id),
    weight INTEGER NOT NULL,
    since INTEGER NOT NULL,
    stale INTEGER NOT NULL CHECK (stale IN (0, 1))
) STRICT;
CREATE INDEX standings_weight ON standings (weight DESC, since, issue_id, project_id);
CREATE INDEX standings_since ON standings (since, weight, issue_id, project_id);
CREATE INDEX standings_stale ON standings (issue_id) WHERE stale = 1;

INSERT INTO standings (issue_id, project_id, weight, since, stale)
SELECT id, project_id, 0, updated_at, 1 FROM issues
WHERE phase IN ('in-review', 'needs-input') OR (phase = 'ready' AND failed IS NOT NULL);

-- What it was for, the standings do.
DROP INDEX issues_waiting;
