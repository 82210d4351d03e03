-- What is decided at the keyboard: sealed tests tried against the base, budgets, words to a run; and
-- what a runner says that it can do.

-- `tryout`: the sealed tests of an issue run once on the base.
ALTER TABLE jobs DROP CONSTRAINT jobs_kind_check;
ALTER TABLE jobs ADD CONSTRAINT jobs_kind_check CHECK (kind IN ('author', 'verify', 'trial', 'tryout'));
ALTER TABLE runs DROP CONSTRAINT runs_kind_check;
ALTER TABLE runs ADD CONSTRAINT runs_kind_check CHECK (kind IN ('author', 'verify', 'trial', 'tryout'));
-- A person waits for these: they are found without a look at the queue.
CREATE INDEX jobs_urgent ON jobs (created_at, id, not_before) WHERE phase = 'queued' AND kind = 'tryout';

-- What an issue's author runs may use together; without one, what the project says.
ALTER TABLE issues ADD COLUMN budget_micro_usd BIGINT CHECK (budget_micro_usd >= 1);
ALTER TABLE issues ADD COLUMN budget_minutes BIGINT CHECK (budget_minutes >= 1);

-- JSON lists; a runner of an older version says nothing.
ALTER TABLE runners ADD COLUMN kinds TEXT;
ALTER TABLE runners ADD COLUMN harnesses TEXT;

-- A result is about exactly this seal (the files and the command) on this base.
CREATE TABLE tryouts (
    job_id UUID NOT NULL PRIMARY KEY REFERENCES jobs (id),
    issue_id UUID NOT NULL REFERENCES issues (id),
    seal TEXT NOT NULL CHECK (length(seal) = 64),
    base TEXT CHECK (length(base) = 40),
    run_id UUID REFERENCES runs (id),
    result TEXT,
    created_at BIGINT NOT NULL,
    ended_at BIGINT,
    CHECK ((result IS NULL) = (base IS NULL)),
    CHECK ((result IS NULL) = (run_id IS NULL)),
    CHECK ((result IS NULL) = (ended_at IS NULL))
);
CREATE INDEX tryouts_issue ON tryouts (issue_id, created_at, job_id);

-- Handed to the agent, or too late for its run; neither yet while the run goes on.
CREATE TABLE steers (
    id UUID NOT NULL PRIMARY KEY,
    run_id UUID NOT NULL REFERENCES runs (id),
    issue_id UUID NOT NULL REFERENCES issues (id),
    round BIGINT NOT NULL CHECK (round >= 1),
    author TEXT NOT NULL,
    trust TEXT NOT NULL CHECK (trust IN ('tool', 'outsider', 'collaborator', 'maintainer', 'operator')),
    body TEXT NOT NULL CHECK (body <> ''),
    interrupts BIGINT NOT NULL CHECK (interrupts IN (0, 1)),
    created_at BIGINT NOT NULL,
    handed_at BIGINT,
    late_at BIGINT,
    CHECK (handed_at IS NULL OR late_at IS NULL)
);
CREATE INDEX steers_run ON steers (run_id, created_at, id);
CREATE INDEX steers_issue ON steers (issue_id, created_at, id);
