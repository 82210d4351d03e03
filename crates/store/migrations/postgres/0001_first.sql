-- The first schema. Words in CHECK lists are the words of the domain crate.
-- Times are milliseconds since 1970 (UTC); flags are 0 or 1; JSON is kept as TEXT.
-- Names sort by bytes, whatever the server's locale, as they do on SQLite.

CREATE TABLE users (
    id UUID NOT NULL PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL UNIQUE CHECK (name <> ''),
    is_admin BIGINT NOT NULL CHECK (is_admin IN (0, 1)),
    created_at BIGINT NOT NULL
);

CREATE TABLE runners (
    id UUID NOT NULL PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL UNIQUE CHECK (name <> ''),
    slots BIGINT NOT NULL CHECK (slots >= 0),
    version TEXT NOT NULL,
    draining BIGINT NOT NULL CHECK (draining IN (0, 1)),
    last_seen_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE projects (
    id UUID NOT NULL PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL UNIQUE CHECK (name <> ''),
    default_branch TEXT NOT NULL,
    config TEXT NOT NULL,
    config_commit TEXT CHECK (length(config_commit) = 40),
    config_error TEXT,
    next_number BIGINT NOT NULL DEFAULT 1 CHECK (next_number >= 1),
    created_at BIGINT NOT NULL
);

CREATE TABLE members (
    project_id UUID NOT NULL REFERENCES projects (id),
    user_id UUID NOT NULL REFERENCES users (id),
    role TEXT NOT NULL CHECK (role IN ('reader', 'writer', 'maintainer')),
    PRIMARY KEY (project_id, user_id)
);
CREATE INDEX members_user ON members (user_id, project_id);

CREATE TABLE issues (
    id UUID NOT NULL PRIMARY KEY,
    project_id UUID NOT NULL REFERENCES projects (id),
    number BIGINT NOT NULL CHECK (number >= 1),
    title TEXT NOT NULL,
    -- The title in lower case by Unicode's rules: lower() differs between the engines.
    title_folded TEXT NOT NULL,
    body TEXT NOT NULL,
    labels TEXT NOT NULL,
    priority BIGINT NOT NULL CHECK (priority BETWEEN 0 AND 3),
    assignee TEXT,
    agent TEXT NOT NULL,
    requester_id UUID NOT NULL REFERENCES users (id),
    phase TEXT NOT NULL CHECK (phase IN ('draft', 'ready', 'working', 'needs-input', 'in-review', 'landing', 'done', 'closed')),
    state TEXT NOT NULL,
    round BIGINT NOT NULL CHECK (round >= 1),
    repairs BIGINT NOT NULL CHECK (repairs >= 0),
    failed TEXT,
    trust TEXT NOT NULL CHECK (trust IN ('tool', 'outsider', 'collaborator', 'maintainer', 'operator')),
    has_acceptance BIGINT NOT NULL CHECK (has_acceptance IN (0, 1)),
    version BIGINT NOT NULL CHECK (version >= 1),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (project_id, number),
    CHECK (CAST(state AS JSONB) ->> 'phase' = phase)
);
CREATE INDEX issues_project_phase ON issues (project_id, phase, created_at, id);
CREATE INDEX issues_phase_created ON issues (phase, created_at, id);
CREATE INDEX issues_phase_id ON issues (phase, id);

CREATE TABLE acceptances (
    issue_id UUID NOT NULL PRIMARY KEY REFERENCES issues (id),
    acceptance TEXT NOT NULL
);

CREATE TABLE blocks (
    issue_id UUID NOT NULL REFERENCES issues (id),
    blocker_id UUID NOT NULL REFERENCES issues (id),
    PRIMARY KEY (issue_id, blocker_id),
    CHECK (issue_id <> blocker_id)
);
CREATE INDEX blocks_blocker ON blocks (blocker_id, issue_id);

CREATE TABLE messages (
    id UUID NOT NULL PRIMARY KEY,
    issue_id UUID NOT NULL REFERENCES issues (id),
    round BIGINT NOT NULL CHECK (round >= 1),
    kind TEXT NOT NULL CHECK (kind IN ('question', 'answer', 'feedback', 'note')),
    author TEXT NOT NULL,
    trust TEXT NOT NULL CHECK (trust IN ('tool', 'outsider', 'collaborator', 'maintainer', 'operator')),
    body TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX messages_issue ON messages (issue_id, created_at, id);

CREATE TABLE jobs (
    id UUID NOT NULL PRIMARY KEY,
    project_id UUID NOT NULL REFERENCES projects (id),
    issue_id UUID NOT NULL REFERENCES issues (id),
    kind TEXT NOT NULL CHECK (kind IN ('author', 'verify', 'trial')),
    phase TEXT NOT NULL CHECK (phase IN ('queued', 'leased', 'succeeded', 'failed', 'cancelled', 'dead')),
    state TEXT NOT NULL,
    epoch BIGINT NOT NULL CHECK (epoch >= 0),
    starts BIGINT NOT NULL CHECK (starts BETWEEN 0 AND epoch),
    -- When a queued job may be claimed; 0 for at once.
    not_before BIGINT,
    lease_until BIGINT,
    runner_id UUID REFERENCES runners (id),
    run_id UUID,
    payload TEXT NOT NULL,
    priority BIGINT NOT NULL CHECK (priority BETWEEN 0 AND 3),
    version BIGINT NOT NULL CHECK (version >= 1),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CHECK ((phase = 'queued') = (not_before IS NOT NULL)),
    CHECK ((phase = 'leased') = (lease_until IS NOT NULL)),
    CHECK ((phase = 'leased') = (runner_id IS NOT NULL)),
    CHECK ((phase = 'leased') = (run_id IS NOT NULL)),
    CHECK (CAST(state AS JSONB) ->> 'phase' = phase)
);
CREATE INDEX jobs_queued ON jobs (priority, created_at, id, not_before, kind) WHERE phase = 'queued';
CREATE INDEX jobs_leased ON jobs (lease_until, id) WHERE phase = 'leased';
CREATE INDEX jobs_live ON jobs (priority, created_at, id) WHERE phase IN ('queued', 'leased');
CREATE UNIQUE INDEX jobs_run ON jobs (run_id) WHERE run_id IS NOT NULL;
CREATE INDEX jobs_issue ON jobs (issue_id, created_at, id);
CREATE INDEX jobs_phase ON jobs (phase);

CREATE TABLE runs (
    id UUID NOT NULL PRIMARY KEY,
    job_id UUID NOT NULL REFERENCES jobs (id),
    project_id UUID NOT NULL REFERENCES projects (id),
    issue_id UUID NOT NULL REFERENCES issues (id),
    number BIGINT NOT NULL CHECK (number >= 1),
    kind TEXT NOT NULL CHECK (kind IN ('author', 'verify', 'trial')),
    epoch BIGINT NOT NULL CHECK (epoch >= 1),
    round BIGINT NOT NULL CHECK (round >= 1),
    agent TEXT NOT NULL,
    runner_id UUID NOT NULL REFERENCES runners (id),
    phase TEXT NOT NULL CHECK (phase IN ('running', 'succeeded', 'failed', 'stopped', 'asked')),
    state TEXT NOT NULL,
    start_commit TEXT NOT NULL CHECK (length(start_commit) = 40),
    attempt TEXT CHECK (length(attempt) = 40),
    usage TEXT,
    session_agent TEXT,
    session TEXT,
    progress TEXT,
    log_bytes BIGINT NOT NULL CHECK (log_bytes >= 0),
    log_closed BIGINT NOT NULL CHECK (log_closed IN (0, 1)),
    started_at BIGINT NOT NULL,
    ended_at BIGINT,
    UNIQUE (job_id, epoch),
    CHECK ((phase = 'running') = (ended_at IS NULL)),
    CHECK ((session IS NULL) = (session_agent IS NULL)),
    CHECK (CAST(state AS JSONB) ->> 'phase' = phase)
);
-- Deferred: a job and its run name each other, and both are written in one transaction.
ALTER TABLE jobs ADD FOREIGN KEY (run_id) REFERENCES runs (id) DEFERRABLE INITIALLY DEFERRED;
CREATE INDEX runs_issue ON runs (issue_id, id);
CREATE INDEX runs_project ON runs (project_id, id);
CREATE INDEX runs_session ON runs (issue_id, session_agent, id) WHERE session IS NOT NULL;
CREATE INDEX runs_log_open ON runs (ended_at, id) WHERE log_closed = 0;

CREATE TABLE pulls (
    issue_id UUID NOT NULL PRIMARY KEY REFERENCES issues (id),
    project_id UUID NOT NULL REFERENCES projects (id),
    number BIGINT NOT NULL CHECK (number >= 1),
    branch TEXT NOT NULL,
    base TEXT NOT NULL CHECK (length(base) = 40),
    head TEXT NOT NULL CHECK (length(head) = 40),
    summary TEXT NOT NULL,
    landed TEXT CHECK (length(landed) = 40),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (project_id, number)
);
CREATE INDEX pulls_project_created ON pulls (project_id, created_at, issue_id);
CREATE INDEX pulls_created ON pulls (created_at, issue_id);

CREATE TABLE pull_heads (
    issue_id UUID NOT NULL REFERENCES issues (id),
    head TEXT NOT NULL CHECK (length(head) = 40),
    base TEXT NOT NULL CHECK (length(base) = 40),
    round BIGINT NOT NULL CHECK (round >= 1),
    run_id UUID REFERENCES runs (id),
    actor TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (issue_id, created_at, head)
);

CREATE TABLE verdicts (
    run_id UUID NOT NULL PRIMARY KEY REFERENCES runs (id),
    issue_id UUID NOT NULL REFERENCES issues (id),
    head TEXT NOT NULL CHECK (length(head) = 40),
    base TEXT NOT NULL CHECK (length(base) = 40),
    colour TEXT NOT NULL CHECK (colour IN ('green', 'red', 'unproven')),
    reasons TEXT NOT NULL,
    findings TEXT NOT NULL,
    report TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX verdicts_issue ON verdicts (issue_id, created_at, run_id);
CREATE INDEX verdicts_head ON verdicts (issue_id, head, created_at, run_id);

CREATE TABLE reviews (
    id UUID NOT NULL PRIMARY KEY,
    issue_id UUID NOT NULL REFERENCES issues (id),
    round BIGINT NOT NULL CHECK (round >= 1),
    head TEXT NOT NULL CHECK (length(head) = 40),
    decision TEXT NOT NULL CHECK (decision IN ('approve', 'send-back')),
    body TEXT NOT NULL,
    comments TEXT NOT NULL,
    user_id UUID NOT NULL REFERENCES users (id),
    user_name TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX reviews_issue ON reviews (issue_id, created_at, id);

CREATE TABLE queue_entries (
    issue_id UUID NOT NULL PRIMARY KEY REFERENCES issues (id),
    project_id UUID NOT NULL REFERENCES projects (id),
    number BIGINT NOT NULL CHECK (number >= 1),
    approved TEXT NOT NULL CHECK (length(approved) = 40),
    user_id UUID NOT NULL REFERENCES users (id),
    candidate TEXT,
    trial_job_id UUID REFERENCES jobs (id),
    entered_at BIGINT NOT NULL
);
CREATE INDEX queue_entries_project ON queue_entries (project_id, entered_at, number);

-- Only the SHA-256 of a token is kept. The holder's kind says which id stands.
CREATE TABLE tokens (
    id UUID NOT NULL PRIMARY KEY,
    hash BYTEA NOT NULL UNIQUE CHECK (length(hash) = 32),
    holder TEXT NOT NULL CHECK (holder IN ('person', 'runner', 'run')),
    user_id UUID REFERENCES users (id),
    runner_id UUID REFERENCES runners (id),
    -- Deferred: a claim makes the run and its token in one transaction, in either order.
    run_id UUID REFERENCES runs (id) DEFERRABLE INITIALLY DEFERRED,
    project_id UUID REFERENCES projects (id),
    label TEXT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    created_at BIGINT NOT NULL,
    CHECK ((holder = 'person') = (user_id IS NOT NULL)),
    CHECK ((holder = 'runner') = (runner_id IS NOT NULL)),
    CHECK ((holder = 'run') = (run_id IS NOT NULL)),
    CHECK ((holder = 'run') = (project_id IS NOT NULL))
);
CREATE INDEX tokens_user ON tokens (user_id, created_at, id) WHERE user_id IS NOT NULL;
CREATE INDEX tokens_run ON tokens (run_id) WHERE run_id IS NOT NULL;

-- The one row that puts all writers of events in line.
CREATE TABLE event_head (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    seq BIGINT NOT NULL CHECK (seq >= 0),
    hash TEXT NOT NULL CHECK (length(hash) = 64)
);
INSERT INTO event_head (id, seq, hash) VALUES (1, 0, '0000000000000000000000000000000000000000000000000000000000000000');

-- No foreign keys: the record outlives what it speaks of.
CREATE TABLE events (
    seq BIGINT NOT NULL PRIMARY KEY CHECK (seq >= 1),
    at BIGINT NOT NULL,
    project_id UUID,
    issue_id UUID,
    run_id UUID,
    kind TEXT NOT NULL CHECK (kind <> ''),
    actor TEXT NOT NULL,
    data TEXT NOT NULL,
    hash TEXT NOT NULL CHECK (length(hash) = 64)
);
CREATE INDEX events_project ON events (project_id, seq) WHERE project_id IS NOT NULL;
CREATE INDEX events_issue ON events (issue_id, seq) WHERE issue_id IS NOT NULL;
CREATE FUNCTION events_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'events are append-only';
END
$$;
CREATE TRIGGER events_keep BEFORE UPDATE OR DELETE OR TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION events_append_only();

CREATE TABLE outbox (
    id UUID NOT NULL PRIMARY KEY,
    seq BIGINT NOT NULL REFERENCES events (seq),
    target TEXT COLLATE "C" NOT NULL CHECK (target <> ''),
    attempts BIGINT NOT NULL CHECK (attempts >= 0),
    next_at BIGINT NOT NULL,
    delivered_at BIGINT,
    last_error TEXT,
    UNIQUE (target, seq)
);
CREATE INDEX outbox_pending ON outbox (target, seq) WHERE delivered_at IS NULL;

CREATE TABLE notifications (
    id UUID NOT NULL PRIMARY KEY,
    user_id UUID NOT NULL REFERENCES users (id),
    project_id UUID NOT NULL REFERENCES projects (id),
    issue_id UUID NOT NULL REFERENCES issues (id),
    number BIGINT NOT NULL CHECK (number >= 1),
    notice TEXT NOT NULL CHECK (notice IN ('review-wanted', 'input-wanted', 'failed', 'landed')),
    body TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    read_at BIGINT
);
CREATE INDEX notifications_user ON notifications (user_id, created_at, id);
CREATE INDEX notifications_unread ON notifications (user_id, created_at, id) WHERE read_at IS NULL;

CREATE TABLE idempotency_keys (
    holder TEXT NOT NULL,
    request_key TEXT NOT NULL,
    request_hash BYTEA NOT NULL CHECK (length(request_hash) = 32),
    status BIGINT NOT NULL,
    body BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (holder, request_key)
);
CREATE INDEX idempotency_keys_created ON idempotency_keys (created_at);
