-- What is decided at the keyboard: sealed tests tried against the base, budgets, words to a run; and
-- what a runner says that it can do.

-- `tryout`: the sealed tests of an issue run once on the base. SQLite changes no CHECK, so the column
-- is made anew; the default is only for this.
DROP INDEX jobs_queued;
ALTER TABLE jobs RENAME COLUMN kind TO old_kind;
ALTER TABLE jobs ADD COLUMN kind TEXT NOT NULL DEFAULT 'author' CHECK (kind IN ('author', 'verify', 'trial', 'tryout'));
UPDATE jobs SET kind = old_kind;
ALTER TABLE jobs DROP COLUMN old_kind;
CREATE INDEX jobs_queued ON jobs (priority, created_at, id, not_before, kind) WHERE phase = 'queued';
ALTER TABLE runs RENAME COLUMN kind TO old_kind;
ALTER TABLE runs ADD COLUMN kind TEXT NOT NULL DEFAULT 'author' CHECK (kind IN ('author', 'verify', 'trial', 'tryout'));
UPDATE runs SET kind = old_kind;
ALTER TABLE runs DROP COLUMN old_kind;
-- A person waits for these: they are found without a look at the queue.
CREATE INDEX jobs_urgent ON jobs (created_at, id, not_before) WHERE phase = 'queued' AND kind = 'tryout';

-- What an issue's author runs may use together; without one, what the project says.
ALTER TABLE issues ADD COLUMN budget_micro_usd INTEGER CHECK (budget_micro_usd >= 1);
ALTER TABLE issues ADD COLUMN budget_minutes INTEGER CHECK (budget_minutes >= 1);

-- JSON lists; a runner of an older version says nothing.
ALTER TABLE runners ADD COLUMN kinds TEXT;
ALTER TABLE runners ADD COLUMN harnesses TEXT;

-- A result is about exactly this seal (the files and the command) on this base.
CREATE TABLE tryouts (
    job_id BLOB NOT NULL PRIMARY KEY REFERENCES jobs (id),
    issue_id BLOB NOT NULL REFERENCES issues (id),
    seal TEXT NOT NULL CHECK (length(seal) = 64),
    base TEXT CHECK (length(base) = 40),
    run_id BLOB REFERENCES runs (id),
    result TEXT,
    created_at INTEGER NOT NULL,
    ended_at INTEGER,
    CHECK ((result IS NULL) = (base IS NULL)),
    CHECK ((result IS NULL) = (run_id IS NULL)),
    CHECK ((result IS NULL) = (ended_at IS NULL))
) STRICT;
CREATE INDEX tryouts_issue ON tryouts (issue_id, created_at, job_id);

-- Handed to the agent, or too late for its run; neither yet while the run goes on.
CREATE TABLE steers (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    run_id BLOB NOT NULL REFERENCES runs (id),
    issue_id BLOB NOT NULL REFERENCES issues (id),
    round INTEGER NOT NULL CHECK (round >= 1),
    author TEXT NOT NULL,
    trust TEXT NOT NULL CHECK (trust IN ('tool', 'outsider', 'collaborator', 'maintainer', 'operator')),
    body TEXT NOT NULL CHECK (body <> ''),
    interrupts INTEGER NOT NULL CHECK (interrupts IN (0, 1)),
    created_at INTEGER NOT NULL,
    handed_at INTEGER,
    late_at INTEGER,
    CHECK (handed_at IS NULL OR late_at IS NULL)
) STRICT;
CREATE INDEX steers_run ON steers (run_id, created_at, id);
CREATE INDEX steers_issue ON steers (issue_id, created_at, id);
