CREATE TABLE acceptances (
    issue_id BLOB NOT NULL PRIMARY KEY REFERENCES issues (id),
    acceptance TEXT NOT NULL
) STRICT;

CREATE TABLE blocks (
    issue_id BLOB NOT NULL REFERENCES issues (id),
    blocker_id BLOB NOT NULL REFERENCES issues (id),
    PRIMARY KEY (issue_id, blocker_id),
    CHECK (issue_id <> blocker_id)
) STRICT;

CREATE INDEX blocks_blocker ON blocks (blocker_id, issue_id);

CREATE TABLE desk_parks (
    user_id BLOB NOT NULL REFERENCES users (id),
    issue_id BLOB NOT NULL REFERENCES issues (id),
    until INTEGER NOT NULL,
    PRIMARY KEY (user_id, issue_id)
) STRICT;

CREATE INDEX desk_parks_until ON desk_parks (user_id, until, issue_id);

CREATE TABLE event_head (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    seq INTEGER NOT NULL CHECK (seq >= 0),
    hash TEXT NOT NULL CHECK (length(hash) = 64)
) STRICT;

CREATE TABLE events (
    seq INTEGER NOT NULL PRIMARY KEY CHECK (seq >= 1),
    at INTEGER NOT NULL,
    project_id BLOB,
    issue_id BLOB,
    run_id BLOB,
    kind TEXT NOT NULL CHECK (kind <> ''),
    actor TEXT NOT NULL,
    data TEXT NOT NULL,
    hash TEXT NOT NULL CHECK (length(hash) = 64)
) STRICT;

CREATE INDEX events_issue ON events (issue_id, seq) WHERE issue_id IS NOT NULL;

CREATE TRIGGER events_keep BEFORE UPDATE ON events BEGIN
    SELECT RAISE(ABORT, 'events are append-only');
END;

CREATE INDEX events_project ON events (project_id, seq) WHERE project_id IS NOT NULL;

CREATE TRIGGER events_stay BEFORE DELETE ON events BEGIN
    SELECT RAISE(ABORT, 'events are append-only');
END;

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

CREATE INDEX host_asks_open ON host_asks (issue_id) WHERE decision IS NULL;

CREATE TABLE idempotency_keys (
    holder TEXT NOT NULL,
    request_key TEXT NOT NULL,
    request_hash BLOB NOT NULL CHECK (length(request_hash) = 32),
    status INTEGER NOT NULL,
    body BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (holder, request_key)
) STRICT;

CREATE INDEX idempotency_keys_created ON idempotency_keys (created_at);

CREATE TABLE identities (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    user_id BLOB NOT NULL REFERENCES users (id),
    provider TEXT NOT NULL CHECK (provider <> ''),
    issuer TEXT NOT NULL CHECK (issuer <> ''),
    subject TEXT NOT NULL CHECK (subject <> ''),
    email TEXT,
    created_at INTEGER NOT NULL,
    used_at INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX identities_subject ON identities (issuer, subject);

CREATE INDEX identities_user ON identities (user_id, created_at, id);

CREATE TABLE issues (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    project_id BLOB NOT NULL REFERENCES projects (id),
    number INTEGER NOT NULL CHECK (number >= 1),
    title TEXT NOT NULL,
    -- The title in lower case by Unicode's rules: lower() differs between the engines.
    title_folded TEXT NOT NULL,
    body TEXT NOT NULL,
    labels TEXT NOT NULL,
    priority INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 3),
    assignee TEXT,
    agent TEXT NOT NULL,
    requester_id BLOB NOT NULL REFERENCES users (id),
    phase TEXT NOT NULL CHECK (phase IN ('draft', 'ready', 'working', 'needs-input', 'in-review', 'landing', 'done', 'closed')),
    state TEXT NOT NULL,
    round INTEGER NOT NULL CHECK (round >= 1),
    repairs INTEGER NOT NULL CHECK (repairs >= 0),
    failed TEXT,
    trust TEXT NOT NULL CHECK (trust IN ('tool', 'outsider', 'collaborator', 'maintainer', 'operator')),
    has_acceptance INTEGER NOT NULL CHECK (has_acceptance IN (0, 1)),
    version INTEGER NOT NULL CHECK (version >= 1),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL, budget_micro_usd INTEGER CHECK (budget_micro_usd >= 1), budget_minutes INTEGER CHECK (budget_minutes >= 1),
    UNIQUE (project_id, number),
    CHECK (json_extract(state, '$.phase') = phase)
) STRICT;

CREATE INDEX issues_failed ON issues (project_id, id) WHERE failed IS NOT NULL;

CREATE INDEX issues_phase_created ON issues (phase, created_at, id);

CREATE INDEX issues_phase_id ON issues (phase, id);

CREATE INDEX issues_project_phase ON issues (project_id, phase, created_at, id, agent, title_folded);

CREATE TABLE jobs (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    project_id BLOB NOT NULL REFERENCES projects (id),
    issue_id BLOB NOT NULL REFERENCES issues (id),
    phase TEXT NOT NULL CHECK (phase IN ('queued', 'leased', 'succeeded', 'failed', 'cancelled', 'dead')),
    state TEXT NOT NULL,
    epoch INTEGER NOT NULL CHECK (epoch >= 0),
    starts INTEGER NOT NULL CHECK (starts BETWEEN 0 AND epoch),
    -- When a queued job may be claimed; 0 for at once.
    not_before INTEGER,
    lease_until INTEGER,
    runner_id BLOB REFERENCES runners (id),
    -- Deferred: a job and its run name each other, and both are written in one transaction.
    run_id BLOB REFERENCES runs (id) DEFERRABLE INITIALLY DEFERRED,
    payload TEXT NOT NULL,
    priority INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 3),
    version INTEGER NOT NULL CHECK (version >= 1),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL, kind TEXT NOT NULL DEFAULT 'author' CHECK (kind IN ('author', 'verify', 'trial', 'tryout')), image INTEGER NOT NULL DEFAULT 0 CHECK (image IN (0, 1)), agent TEXT, harness TEXT NOT NULL DEFAULT '',
    CHECK ((phase = 'queued') = (not_before IS NOT NULL)),
    CHECK ((phase = 'leased') = (lease_until IS NOT NULL)),
    CHECK ((phase = 'leased') = (runner_id IS NOT NULL)),
    CHECK ((phase = 'leased') = (run_id IS NOT NULL)),
    CHECK (json_extract(state, '$.phase') = phase)
) STRICT;

CREATE INDEX jobs_issue ON jobs (issue_id, created_at, id);

CREATE INDEX jobs_leased ON jobs (lease_until, id) WHERE phase = 'leased';

CREATE INDEX jobs_live ON jobs (priority, created_at, id) WHERE phase IN ('queued', 'leased');

CREATE INDEX jobs_phase ON jobs (phase);

CREATE INDEX jobs_queued ON jobs (image, harness, priority, created_at, id, not_before, kind) WHERE phase = 'queued';

CREATE UNIQUE INDEX jobs_run ON jobs (run_id) WHERE run_id IS NOT NULL;

CREATE INDEX jobs_urgent ON jobs (image, created_at, id, not_before) WHERE phase = 'queued' AND kind = 'tryout';

CREATE TABLE members (
    project_id BLOB NOT NULL REFERENCES projects (id),
    user_id BLOB NOT NULL REFERENCES users (id),
    role TEXT NOT NULL CHECK (role IN ('reader', 'writer', 'maintainer')),
    PRIMARY KEY (project_id, user_id)
) STRICT;

CREATE INDEX members_user ON members (user_id, project_id);

CREATE TABLE messages (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    issue_id BLOB NOT NULL REFERENCES issues (id),
    round INTEGER NOT NULL CHECK (round >= 1),
    kind TEXT NOT NULL CHECK (kind IN ('question', 'answer', 'feedback', 'note')),
    author TEXT NOT NULL,
    trust TEXT NOT NULL CHECK (trust IN ('tool', 'outsider', 'collaborator', 'maintainer', 'operator')),
    body TEXT NOT NULL,
    created_at INTEGER NOT NULL
, said TEXT) STRICT;

CREATE INDEX messages_issue ON messages (issue_id, created_at, id);

CREATE TABLE notifications (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    user_id BLOB NOT NULL REFERENCES users (id),
    project_id BLOB NOT NULL REFERENCES projects (id),
    issue_id BLOB NOT NULL REFERENCES issues (id),
    number INTEGER NOT NULL CHECK (number >= 1),
    notice TEXT NOT NULL CHECK (notice IN ('review-wanted', 'input-wanted', 'failed', 'landed')),
    body TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    read_at INTEGER
, said TEXT) STRICT;

CREATE INDEX notifications_open ON notifications (issue_id) WHERE read_at IS NULL;

CREATE INDEX notifications_unread ON notifications (user_id, created_at, id) WHERE read_at IS NULL;

CREATE INDEX notifications_user ON notifications (user_id, created_at, id);

CREATE TABLE outbox (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    seq INTEGER NOT NULL REFERENCES events (seq),
    target TEXT NOT NULL CHECK (target <> ''),
    attempts INTEGER NOT NULL CHECK (attempts >= 0),
    next_at INTEGER NOT NULL,
    delivered_at INTEGER,
    last_error TEXT,
    UNIQUE (target, seq)
) STRICT;

CREATE INDEX outbox_pending ON outbox (target, seq) WHERE delivered_at IS NULL;

CREATE TABLE passwords (
    user_id BLOB NOT NULL PRIMARY KEY REFERENCES users (id),
    hash TEXT NOT NULL CHECK (hash <> ''),
    updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE projects (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    name TEXT NOT NULL UNIQUE CHECK (name <> ''),
    default_branch TEXT NOT NULL,
    config TEXT NOT NULL,
    config_commit TEXT CHECK (length(config_commit) = 40),
    config_error TEXT,
    next_number INTEGER NOT NULL DEFAULT 1 CHECK (next_number >= 1),
    created_at INTEGER NOT NULL
, image INTEGER NOT NULL DEFAULT 0 CHECK (image IN (0, 1))) STRICT;

CREATE TABLE proposals (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    run_id BLOB NOT NULL REFERENCES runs (id),
    issue_id BLOB NOT NULL REFERENCES issues (id),
    round INTEGER NOT NULL CHECK (round >= 1),
    body TEXT NOT NULL CHECK (body <> ''),
    source TEXT,
    created_at INTEGER NOT NULL
, decision TEXT CHECK (decision IN ('accepted', 'dismissed')), decided_by TEXT CHECK ((decision IS NULL) = (decided_by IS NULL)), decided_at INTEGER CHECK ((decision IS NULL) = (decided_at IS NULL))) STRICT;

CREATE INDEX proposals_issue ON proposals (issue_id, created_at, id);

CREATE INDEX proposals_run ON proposals (run_id, created_at, id);

CREATE TABLE pull_heads (
    issue_id BLOB NOT NULL REFERENCES issues (id),
    head TEXT NOT NULL CHECK (length(head) = 40),
    base TEXT NOT NULL CHECK (length(base) = 40),
    round INTEGER NOT NULL CHECK (round >= 1),
    run_id BLOB REFERENCES runs (id),
    actor TEXT NOT NULL,
    created_at INTEGER NOT NULL, size TEXT,
    PRIMARY KEY (issue_id, created_at, head)
) STRICT;

CREATE TABLE pulls (
    issue_id BLOB NOT NULL PRIMARY KEY REFERENCES issues (id),
    project_id BLOB NOT NULL REFERENCES projects (id),
    number INTEGER NOT NULL CHECK (number >= 1),
    branch TEXT NOT NULL,
    base TEXT NOT NULL CHECK (length(base) = 40),
    head TEXT NOT NULL CHECK (length(head) = 40),
    summary TEXT NOT NULL,
    landed TEXT CHECK (length(landed) = 40),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (project_id, number)
) STRICT;

CREATE INDEX pulls_created ON pulls (created_at, issue_id);

CREATE INDEX pulls_project_created ON pulls (project_id, created_at, issue_id);

CREATE TABLE queue_entries (
    issue_id BLOB NOT NULL PRIMARY KEY REFERENCES issues (id),
    project_id BLOB NOT NULL REFERENCES projects (id),
    number INTEGER NOT NULL CHECK (number >= 1),
    approved TEXT NOT NULL CHECK (length(approved) = 40),
    user_id BLOB NOT NULL REFERENCES users (id),
    candidate TEXT,
    trial_job_id BLOB REFERENCES jobs (id),
    entered_at INTEGER NOT NULL
) STRICT;

CREATE INDEX queue_entries_project ON queue_entries (project_id, entered_at, number);

CREATE TABLE review_drafts (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    user_id BLOB NOT NULL REFERENCES users (id),
    issue_id BLOB NOT NULL REFERENCES issues (id),
    path TEXT NOT NULL CHECK (path <> ''),
    line INTEGER CHECK (line >= 1),
    body TEXT NOT NULL,
    created_at INTEGER NOT NULL
, first_line INTEGER CHECK (first_line >= 1 AND first_line <= line), head TEXT CHECK (length(head) = 40)) STRICT;

CREATE INDEX review_drafts_user ON review_drafts (user_id, issue_id, created_at, id);

CREATE TABLE reviews (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    issue_id BLOB NOT NULL REFERENCES issues (id),
    round INTEGER NOT NULL CHECK (round >= 1),
    head TEXT NOT NULL CHECK (length(head) = 40),
    decision TEXT NOT NULL CHECK (decision IN ('approve', 'send-back')),
    body TEXT NOT NULL,
    comments TEXT NOT NULL,
    user_id BLOB NOT NULL REFERENCES users (id),
    user_name TEXT NOT NULL,
    created_at INTEGER NOT NULL
, withdrawn_at INTEGER) STRICT;

CREATE INDEX reviews_issue ON reviews (issue_id, created_at, id);

CREATE TABLE runners (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    name TEXT NOT NULL UNIQUE CHECK (name <> ''),
    slots INTEGER NOT NULL CHECK (slots >= 0),
    version TEXT NOT NULL,
    draining INTEGER NOT NULL CHECK (draining IN (0, 1)),
    last_seen_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL
, kinds TEXT, harnesses TEXT, images INTEGER NOT NULL DEFAULT 0 CHECK (images IN (0, 1))) STRICT;

CREATE TABLE runs (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    job_id BLOB NOT NULL REFERENCES jobs (id),
    project_id BLOB NOT NULL REFERENCES projects (id),
    issue_id BLOB NOT NULL REFERENCES issues (id),
    number INTEGER NOT NULL CHECK (number >= 1),
    epoch INTEGER NOT NULL CHECK (epoch >= 1),
    round INTEGER NOT NULL CHECK (round >= 1),
    agent TEXT NOT NULL,
    runner_id BLOB NOT NULL REFERENCES runners (id),
    phase TEXT NOT NULL CHECK (phase IN ('running', 'succeeded', 'failed', 'stopped', 'asked')),
    state TEXT NOT NULL,
    start_commit TEXT NOT NULL CHECK (length(start_commit) = 40),
    attempt TEXT CHECK (length(attempt) = 40),
    usage TEXT,
    session_agent TEXT,
    session TEXT,
    progress TEXT,
    log_bytes INTEGER NOT NULL CHECK (log_bytes >= 0),
    log_closed INTEGER NOT NULL CHECK (log_closed IN (0, 1)),
    started_at INTEGER NOT NULL,
    ended_at INTEGER, kind TEXT NOT NULL DEFAULT 'author' CHECK (kind IN ('author', 'verify', 'trial', 'tryout')), traffic TEXT,
    UNIQUE (job_id, epoch),
    CHECK ((phase = 'running') = (ended_at IS NULL)),
    CHECK ((session IS NULL) = (session_agent IS NULL)),
    CHECK (json_extract(state, '$.phase') = phase)
) STRICT;

CREATE INDEX runs_issue ON runs (issue_id, id);

CREATE INDEX runs_log_open ON runs (ended_at, id) WHERE log_closed = 0;

CREATE INDEX runs_project ON runs (project_id, id);

CREATE INDEX runs_session ON runs (issue_id, session_agent, id) WHERE session IS NOT NULL;

CREATE TABLE schema_versions (
    version BIGINT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    checksum TEXT NOT NULL
);

CREATE TABLE secrets (
    project_id BLOB NOT NULL REFERENCES projects (id),
    name TEXT NOT NULL CHECK (name <> ''),
    sealed BLOB NOT NULL,
    set_by TEXT NOT NULL,
    set_at INTEGER NOT NULL,
    PRIMARY KEY (project_id, name)
) STRICT;

CREATE TABLE sign_ins (
    state BLOB NOT NULL PRIMARY KEY CHECK (length(state) = 32),
    used_at INTEGER NOT NULL
) STRICT;

CREATE INDEX sign_ins_used ON sign_ins (used_at);

CREATE TABLE speeches (
    run_id BLOB NOT NULL REFERENCES runs (id),
    kind TEXT NOT NULL CHECK (kind IN ('ask', 'progress', 'guideline', 'split')),
    count INTEGER NOT NULL CHECK (count >= 1),
    last_at INTEGER NOT NULL,
    PRIMARY KEY (run_id, kind)
) STRICT;

CREATE TABLE splits (
    issue_id BLOB NOT NULL PRIMARY KEY REFERENCES issues (id),
    parent_id BLOB NOT NULL REFERENCES issues (id),
    run_id BLOB NOT NULL REFERENCES runs (id),
    CHECK (issue_id <> parent_id)
) STRICT;

CREATE INDEX splits_parent ON splits (parent_id, issue_id);

CREATE TABLE standings (
    issue_id BLOB NOT NULL PRIMARY KEY REFERENCES issues (id),
    project_id BLOB NOT NULL REFERENCES projects (id),
    weight INTEGER NOT NULL,
    since INTEGER NOT NULL,
    stale INTEGER NOT NULL CHECK (stale IN (0, 1))
) STRICT;

CREATE INDEX standings_since ON standings (since, weight, issue_id, project_id);

CREATE INDEX standings_stale ON standings (issue_id) WHERE stale = 1;

CREATE INDEX standings_weight ON standings (weight DESC, since, issue_id, project_id);

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

CREATE INDEX steers_issue ON steers (issue_id, created_at, id);

CREATE INDEX steers_run ON steers (run_id, created_at, id);

CREATE TABLE tokens (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    holder TEXT NOT NULL CHECK (holder IN ('person', 'runner', 'run')),
    user_id BLOB REFERENCES users (id),
    runner_id BLOB REFERENCES runners (id),
    -- Deferred: a claim makes the run and its token in one transaction, in either order.
    run_id BLOB REFERENCES runs (id) DEFERRABLE INITIALLY DEFERRED,
    project_id BLOB REFERENCES projects (id),
    label TEXT NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    created_at INTEGER NOT NULL, used_at INTEGER,
    CHECK ((holder = 'person') = (user_id IS NOT NULL)),
    CHECK ((holder = 'runner') = (runner_id IS NOT NULL)),
    CHECK ((holder = 'run') = (run_id IS NOT NULL)),
    CHECK ((holder = 'run') = (project_id IS NOT NULL))
) STRICT;

CREATE INDEX tokens_run ON tokens (run_id) WHERE run_id IS NOT NULL;

CREATE INDEX tokens_user ON tokens (user_id, created_at, id) WHERE user_id IS NOT NULL;

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

CREATE TABLE users (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    name TEXT NOT NULL UNIQUE CHECK (name <> ''),
    is_admin INTEGER NOT NULL CHECK (is_admin IN (0, 1)),
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE verdicts (
    run_id BLOB NOT NULL PRIMARY KEY REFERENCES runs (id),
    issue_id BLOB NOT NULL REFERENCES issues (id),
    head TEXT NOT NULL CHECK (length(head) = 40),
    base TEXT NOT NULL CHECK (length(base) = 40),
    colour TEXT NOT NULL CHECK (colour IN ('green', 'red', 'unproven')),
    reasons TEXT NOT NULL,
    findings TEXT NOT NULL,
    report TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX verdicts_head ON verdicts (issue_id, head, created_at, run_id);

CREATE INDEX verdicts_issue ON verdicts (issue_id, created_at, run_id);

CREATE TABLE viewed_files (
    user_id BLOB NOT NULL REFERENCES users (id),
    issue_id BLOB NOT NULL REFERENCES issues (id),
    path TEXT NOT NULL CHECK (path <> ''),
    blob TEXT NOT NULL CHECK (length(blob) = 40),
    viewed_at INTEGER NOT NULL,
    PRIMARY KEY (user_id, issue_id, path)
) STRICT;

CREATE TABLE views (
    user_id BLOB NOT NULL REFERENCES users (id),
    name TEXT NOT NULL CHECK (name <> ''),
    filter TEXT NOT NULL,
    is_default INTEGER NOT NULL CHECK (is_default IN (0, 1)),
    created_at INTEGER NOT NULL,
    PRIMARY KEY (user_id, name)
) STRICT;

CREATE UNIQUE INDEX views_default ON views (user_id) WHERE is_default = 1;
