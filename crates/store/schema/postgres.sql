-- acceptances
    issue_id uuid NOT NULL
    acceptance text NOT NULL
    FOREIGN KEY (issue_id) REFERENCES issues(id)
    PRIMARY KEY (issue_id)
    CREATE UNIQUE INDEX acceptances_pkey ON public.acceptances USING btree (issue_id)
-- blocks
    issue_id uuid NOT NULL
    blocker_id uuid NOT NULL
    FOREIGN KEY (blocker_id) REFERENCES issues(id)
    CHECK ((issue_id <> blocker_id))
    FOREIGN KEY (issue_id) REFERENCES issues(id)
    PRIMARY KEY (issue_id, blocker_id)
    CREATE INDEX blocks_blocker ON public.blocks USING btree (blocker_id, issue_id)
    CREATE UNIQUE INDEX blocks_pkey ON public.blocks USING btree (issue_id, blocker_id)
-- desk_parks
    user_id uuid NOT NULL
    issue_id uuid NOT NULL
    until bigint NOT NULL
    FOREIGN KEY (issue_id) REFERENCES issues(id)
    PRIMARY KEY (user_id, issue_id)
    FOREIGN KEY (user_id) REFERENCES users(id)
    CREATE UNIQUE INDEX desk_parks_pkey ON public.desk_parks USING btree (user_id, issue_id)
    CREATE INDEX desk_parks_until ON public.desk_parks USING btree (user_id, until, issue_id)
-- event_head
    id bigint NOT NULL
    seq bigint NOT NULL
    hash text NOT NULL
    CHECK ((length(hash) = 64))
    CHECK ((id = 1))
    PRIMARY KEY (id)
    CHECK ((seq >= 0))
    CREATE UNIQUE INDEX event_head_pkey ON public.event_head USING btree (id)
-- events
    seq bigint NOT NULL
    at bigint NOT NULL
    project_id uuid
    issue_id uuid
    run_id uuid
    kind text NOT NULL
    actor text NOT NULL
    data text NOT NULL
    hash text NOT NULL
    CHECK ((length(hash) = 64))
    CHECK ((kind <> ''::text))
    PRIMARY KEY (seq)
    CHECK ((seq >= 1))
    CREATE INDEX events_issue ON public.events USING btree (issue_id, seq) WHERE (issue_id IS NOT NULL)
    CREATE UNIQUE INDEX events_pkey ON public.events USING btree (seq)
    CREATE INDEX events_project ON public.events USING btree (project_id, seq) WHERE (project_id IS NOT NULL)
    CREATE TRIGGER events_keep BEFORE DELETE OR UPDATE OR TRUNCATE ON public.events FOR EACH STATEMENT EXECUTE FUNCTION events_append_only()
-- host_asks
    issue_id uuid NOT NULL
    host text NOT NULL
    run_id uuid
    why text
    asked_at bigint NOT NULL
    decision text
    decided_by text
    decided_at bigint
    need text NOT NULL
    CHECK (((decision IS NULL) = (decided_by IS NULL)))
    CHECK (((decision IS NULL) = (decided_at IS NULL)))
    CHECK (((need = 'author'::text) OR (decision <> 'issue'::text)))
    CHECK ((decision = ANY (ARRAY['issue'::text, 'project'::text, 'denied'::text])))
    CHECK ((host <> ''::text))
    FOREIGN KEY (issue_id) REFERENCES issues(id)
    CHECK ((need = ANY (ARRAY['author'::text, 'proof'::text])))
    PRIMARY KEY (issue_id, host, need)
    FOREIGN KEY (run_id) REFERENCES runs(id)
    CREATE INDEX host_asks_open ON public.host_asks USING btree (issue_id) WHERE (decision IS NULL)
    CREATE UNIQUE INDEX host_asks_pkey ON public.host_asks USING btree (issue_id, host, need)
-- idempotency_keys
    holder text NOT NULL
    request_key text NOT NULL
    request_hash bytea NOT NULL
    status bigint NOT NULL
    body bytea NOT NULL
    created_at bigint NOT NULL
    PRIMARY KEY (holder, request_key)
    CHECK ((length(request_hash) = 32))
    CREATE INDEX idempotency_keys_created ON public.idempotency_keys USING btree (created_at)
    CREATE UNIQUE INDEX idempotency_keys_pkey ON public.idempotency_keys USING btree (holder, request_key)
-- identities
    id uuid NOT NULL
    user_id uuid NOT NULL
    provider text NOT NULL
    issuer text NOT NULL
    subject text NOT NULL
    email text
    created_at bigint NOT NULL
    used_at bigint NOT NULL
    CHECK ((issuer <> ''::text))
    PRIMARY KEY (id)
    CHECK ((provider <> ''::text))
    CHECK ((subject <> ''::text))
    FOREIGN KEY (user_id) REFERENCES users(id)
    CREATE UNIQUE INDEX identities_pkey ON public.identities USING btree (id)
    CREATE UNIQUE INDEX identities_subject ON public.identities USING btree (issuer, subject)
    CREATE INDEX identities_user ON public.identities USING btree (user_id, created_at, id)
-- issues
    id uuid NOT NULL
    project_id uuid NOT NULL
    number bigint NOT NULL
    title text NOT NULL
    title_folded text NOT NULL
    body text NOT NULL
    labels text NOT NULL
    priority bigint NOT NULL
    assignee text
    agent text NOT NULL
    requester_id uuid NOT NULL
    phase text NOT NULL
    state text NOT NULL
    round bigint NOT NULL
    repairs bigint NOT NULL
    failed text
    trust text NOT NULL
    has_acceptance bigint NOT NULL
    version bigint NOT NULL
    created_at bigint NOT NULL
    updated_at bigint NOT NULL
    budget_micro_usd bigint
    budget_minutes bigint
    CHECK ((budget_micro_usd >= 1))
    CHECK ((budget_minutes >= 1))
    CHECK ((((state)::jsonb ->> 'phase'::text) = phase))
    CHECK ((has_acceptance = ANY (ARRAY[(0)::bigint, (1)::bigint])))
    CHECK ((number >= 1))
    CHECK ((phase = ANY (ARRAY['draft'::text, 'ready'::text, 'working'::text, 'needs-input'::text, 'in-review'::text, 'landing'::text, 'done'::text, 'closed'::text])))
    PRIMARY KEY (id)
    CHECK (((priority >= 0) AND (priority <= 3)))
    FOREIGN KEY (project_id) REFERENCES projects(id)
    UNIQUE (project_id, number)
    CHECK ((repairs >= 0))
    FOREIGN KEY (requester_id) REFERENCES users(id)
    CHECK ((round >= 1))
    CHECK ((trust = ANY (ARRAY['tool'::text, 'outsider'::text, 'collaborator'::text, 'maintainer'::text, 'operator'::text])))
    CHECK ((version >= 1))
    CREATE INDEX issues_failed ON public.issues USING btree (project_id, id) WHERE (failed IS NOT NULL)
    CREATE INDEX issues_phase_created ON public.issues USING btree (phase, created_at, id)
    CREATE INDEX issues_phase_id ON public.issues USING btree (phase, id)
    CREATE UNIQUE INDEX issues_pkey ON public.issues USING btree (id)
    CREATE UNIQUE INDEX issues_project_id_number_key ON public.issues USING btree (project_id, number)
    CREATE INDEX issues_project_phase ON public.issues USING btree (project_id, phase, created_at, id) INCLUDE (agent, title_folded)
-- jobs
    id uuid NOT NULL
    project_id uuid NOT NULL
    issue_id uuid NOT NULL
    kind text NOT NULL
    phase text NOT NULL
    state text NOT NULL
    epoch bigint NOT NULL
    starts bigint NOT NULL
    not_before bigint
    lease_until bigint
    runner_id uuid
    run_id uuid
    payload text NOT NULL
    priority bigint NOT NULL
    version bigint NOT NULL
    created_at bigint NOT NULL
    updated_at bigint NOT NULL
    image bigint NOT NULL DEFAULT 0
    agent text
    harness text NOT NULL DEFAULT ''::text
    CHECK (((starts >= 0) AND (starts <= epoch)))
    CHECK (((phase = 'queued'::text) = (not_before IS NOT NULL)))
    CHECK (((phase = 'leased'::text) = (lease_until IS NOT NULL)))
    CHECK (((phase = 'leased'::text) = (runner_id IS NOT NULL)))
    CHECK (((phase = 'leased'::text) = (run_id IS NOT NULL)))
    CHECK ((((state)::jsonb ->> 'phase'::text) = phase))
    CHECK ((epoch >= 0))
    CHECK ((image = ANY (ARRAY[(0)::bigint, (1)::bigint])))
    FOREIGN KEY (issue_id) REFERENCES issues(id)
    CHECK ((kind = ANY (ARRAY['author'::text, 'verify'::text, 'trial'::text, 'tryout'::text])))
    CHECK ((phase = ANY (ARRAY['queued'::text, 'leased'::text, 'succeeded'::text, 'failed'::text, 'cancelled'::text, 'dead'::text])))
    PRIMARY KEY (id)
    CHECK (((priority >= 0) AND (priority <= 3)))
    FOREIGN KEY (project_id) REFERENCES projects(id)
    FOREIGN KEY (run_id) REFERENCES runs(id) DEFERRABLE INITIALLY DEFERRED
    FOREIGN KEY (runner_id) REFERENCES runners(id)
    CHECK ((version >= 1))
    CREATE INDEX jobs_issue ON public.jobs USING btree (issue_id, created_at, id)
    CREATE INDEX jobs_leased ON public.jobs USING btree (lease_until, id) WHERE (phase = 'leased'::text)
    CREATE INDEX jobs_live ON public.jobs USING btree (priority, created_at, id) WHERE (phase = ANY (ARRAY['queued'::text, 'leased'::text]))
    CREATE INDEX jobs_phase ON public.jobs USING btree (phase)
    CREATE UNIQUE INDEX jobs_pkey ON public.jobs USING btree (id)
    CREATE INDEX jobs_queued ON public.jobs USING btree (image, harness, priority, created_at, id, not_before, kind) WHERE (phase = 'queued'::text)
    CREATE UNIQUE INDEX jobs_run ON public.jobs USING btree (run_id) WHERE (run_id IS NOT NULL)
    CREATE INDEX jobs_urgent ON public.jobs USING btree (image, created_at, id, not_before) WHERE ((phase = 'queued'::text) AND (kind = 'tryout'::text))
-- members
    project_id uuid NOT NULL
    user_id uuid NOT NULL
    role text NOT NULL
    PRIMARY KEY (project_id, user_id)
    FOREIGN KEY (project_id) REFERENCES projects(id)
    CHECK ((role = ANY (ARRAY['reader'::text, 'writer'::text, 'maintainer'::text])))
    FOREIGN KEY (user_id) REFERENCES users(id)
    CREATE UNIQUE INDEX members_pkey ON public.members USING btree (project_id, user_id)
    CREATE INDEX members_user ON public.members USING btree (user_id, project_id)
-- messages
    id uuid NOT NULL
    issue_id uuid NOT NULL
    round bigint NOT NULL
    kind text NOT NULL
    author text NOT NULL
    trust text NOT NULL
    body text NOT NULL
    created_at bigint NOT NULL
    said text
    FOREIGN KEY (issue_id) REFERENCES issues(id)
    CHECK ((kind = ANY (ARRAY['question'::text, 'answer'::text, 'feedback'::text, 'note'::text])))
    PRIMARY KEY (id)
    CHECK ((round >= 1))
    CHECK ((trust = ANY (ARRAY['tool'::text, 'outsider'::text, 'collaborator'::text, 'maintainer'::text, 'operator'::text])))
    CREATE INDEX messages_issue ON public.messages USING btree (issue_id, created_at, id)
    CREATE UNIQUE INDEX messages_pkey ON public.messages USING btree (id)
-- notifications
    id uuid NOT NULL
    user_id uuid NOT NULL
    project_id uuid NOT NULL
    issue_id uuid NOT NULL
    number bigint NOT NULL
    notice text NOT NULL
    body text NOT NULL
    created_at bigint NOT NULL
    read_at bigint
    said text
    FOREIGN KEY (issue_id) REFERENCES issues(id)
    CHECK ((notice = ANY (ARRAY['review-wanted'::text, 'input-wanted'::text, 'failed'::text, 'landed'::text])))
    CHECK ((number >= 1))
    PRIMARY KEY (id)
    FOREIGN KEY (project_id) REFERENCES projects(id)
    FOREIGN KEY (user_id) REFERENCES users(id)
    CREATE INDEX notifications_open ON public.notifications USING btree (issue_id) WHERE (read_at IS NULL)
    CREATE UNIQUE INDEX notifications_pkey ON public.notifications USING btree (id)
    CREATE INDEX notifications_unread ON public.notifications USING btree (user_id, created_at, id) WHERE (read_at IS NULL)
    CREATE INDEX notifications_user ON public.notifications USING btree (user_id, created_at, id)
-- outbox
    id uuid NOT NULL
    seq bigint NOT NULL
    target text NOT NULL COLLATE "C"
    attempts bigint NOT NULL
    next_at bigint NOT NULL
    delivered_at bigint
    last_error text
    CHECK ((attempts >= 0))
    PRIMARY KEY (id)
    FOREIGN KEY (seq) REFERENCES events(seq)
    CHECK ((target <> ''::text))
    UNIQUE (target, seq)
    CREATE INDEX outbox_pending ON public.outbox USING btree (target, seq) WHERE (delivered_at IS NULL)
    CREATE UNIQUE INDEX outbox_pkey ON public.outbox USING btree (id)
    CREATE UNIQUE INDEX outbox_target_seq_key ON public.outbox USING btree (target, seq)
-- passwords
    user_id uuid NOT NULL
    hash text NOT NULL
    updated_at bigint NOT NULL
    CHECK ((hash <> ''::text))
    PRIMARY KEY (user_id)
    FOREIGN KEY (user_id) REFERENCES users(id)
    CREATE UNIQUE INDEX passwords_pkey ON public.passwords USING btree (user_id)
-- projects
    id uuid NOT NULL
    name text NOT NULL COLLATE "C"
    default_branch text NOT NULL
    config text NOT NULL
    config_commit text
    config_error text
    next_number bigint NOT NULL DEFAULT 1
    created_at bigint NOT NULL
    image bigint NOT NULL DEFAULT 0
    CHECK ((length(config_commit) = 40))
    CHECK ((image = ANY (ARRAY[(0)::bigint, (1)::bigint])))
    CHECK ((name <> ''::text))
    UNIQUE (name)
    CHECK ((next_number >= 1))
    PRIMARY KEY (id)
    CREATE UNIQUE INDEX projects_name_key ON public.projects USING btree (name)
    CREATE UNIQUE INDEX projects_pkey ON public.projects USING btree (id)
-- proposals
    id uuid NOT NULL
    run_id uuid NOT NULL
    issue_id uuid NOT NULL
    round bigint NOT NULL
    body text NOT NULL
    source text
    created_at bigint NOT NULL
    decision text
    decided_by text
    decided_at bigint
    CHECK ((body <> ''::text))
    CHECK (((decision IS NULL) = (decided_by IS NULL)))
    CHECK (((decision IS NULL) = (decided_at IS NULL)))
    CHECK ((decision = ANY (ARRAY['accepted'::text, 'dismissed'::text])))
    FOREIGN KEY (issue_id) REFERENCES issues(id)
    PRIMARY KEY (id)
    CHECK ((round >= 1))
    FOREIGN KEY (run_id) REFERENCES runs(id)
    CREATE INDEX proposals_issue ON public.proposals USING btree (issue_id, created_at, id)
    CREATE UNIQUE INDEX proposals_pkey ON public.proposals USING btree (id)
    CREATE INDEX proposals_run ON public.proposals USING btree (run_id, created_at, id)
-- pull_heads
    issue_id uuid NOT NULL
    head text NOT NULL
    base text NOT NULL
    round bigint NOT NULL
    run_id uuid
    actor text NOT NULL
    created_at bigint NOT NULL
    size text
    CHECK ((length(base) = 40))
    CHECK ((length(head) = 40))
    FOREIGN KEY (issue_id) REFERENCES issues(id)
    PRIMARY KEY (issue_id, created_at, head)
    CHECK ((round >= 1))
    FOREIGN KEY (run_id) REFERENCES runs(id)
    CREATE UNIQUE INDEX pull_heads_pkey ON public.pull_heads USING btree (issue_id, created_at, head)
-- pulls
    issue_id uuid NOT NULL
    project_id uuid NOT NULL
    number bigint NOT NULL
    branch text NOT NULL
    base text NOT NULL
    head text NOT NULL
    summary text NOT NULL
    landed text
    created_at bigint NOT NULL
    updated_at bigint NOT NULL
    CHECK ((length(base) = 40))
    CHECK ((length(head) = 40))
    FOREIGN KEY (issue_id) REFERENCES issues(id)
    CHECK ((length(landed) = 40))
    CHECK ((number >= 1))
    PRIMARY KEY (issue_id)
    FOREIGN KEY (project_id) REFERENCES projects(id)
    UNIQUE (project_id, number)
    CREATE INDEX pulls_created ON public.pulls USING btree (created_at, issue_id)
    CREATE UNIQUE INDEX pulls_pkey ON public.pulls USING btree (issue_id)
    CREATE INDEX pulls_project_created ON public.pulls USING btree (project_id, created_at, issue_id)
    CREATE UNIQUE INDEX pulls_project_id_number_key ON public.pulls USING btree (project_id, number)
-- queue_entries
    issue_id uuid NOT NULL
    project_id uuid NOT NULL
    number bigint NOT NULL
    approved text NOT NULL
    user_id uuid NOT NULL
    candidate text
    trial_job_id uuid
    entered_at bigint NOT NULL
    CHECK ((length(approved) = 40))
    FOREIGN KEY (issue_id) REFERENCES issues(id)
    CHECK ((number >= 1))
    PRIMARY KEY (issue_id)
    FOREIGN KEY (project_id) REFERENCES projects(id)
    FOREIGN KEY (trial_job_id) REFERENCES jobs(id)
    FOREIGN KEY (user_id) REFERENCES users(id)
    CREATE UNIQUE INDEX queue_entries_pkey ON public.queue_entries USING btree (issue_id)
    CREATE INDEX queue_entries_project ON public.queue_entries USING btree (project_id, entered_at, number)
-- review_drafts
    id uuid NOT NULL
    user_id uuid NOT NULL
    issue_id uuid NOT NULL
    path text NOT NULL
    line bigint
    body text NOT NULL
    created_at bigint NOT NULL
    first_line bigint
    head text
    CHECK (((first_line >= 1) AND (first_line <= line)))
    CHECK ((length(head) = 40))
    FOREIGN KEY (issue_id) REFERENCES issues(id)
    CHECK ((line >= 1))
    CHECK ((path <> ''::text))
    PRIMARY KEY (id)
    FOREIGN KEY (user_id) REFERENCES users(id)
    CREATE UNIQUE INDEX review_drafts_pkey ON public.review_drafts USING btree (id)
    CREATE INDEX review_drafts_user ON public.review_drafts USING btree (user_id, issue_id, created_at, id)
-- reviews
    id uuid NOT NULL
    issue_id uuid NOT NULL
    round bigint NOT NULL
    head text NOT NULL
    decision text NOT NULL
    body text NOT NULL
    comments text NOT NULL
    user_id uuid NOT NULL
    user_name text NOT NULL
    created_at bigint NOT NULL
    withdrawn_at bigint
    CHECK ((decision = ANY (ARRAY['approve'::text, 'send-back'::text])))
    CHECK ((length(head) = 40))
    FOREIGN KEY (issue_id) REFERENCES issues(id)
    PRIMARY KEY (id)
    CHECK ((round >= 1))
    FOREIGN KEY (user_id) REFERENCES users(id)
    CREATE INDEX reviews_issue ON public.reviews USING btree (issue_id, created_at, id)
    CREATE UNIQUE INDEX reviews_pkey ON public.reviews USING btree (id)
-- runners
    id uuid NOT NULL
    name text NOT NULL COLLATE "C"
    slots bigint NOT NULL
    version text NOT NULL
    draining bigint NOT NULL
    last_seen_at bigint NOT NULL
    created_at bigint NOT NULL
    kinds text
    harnesses text
    images bigint NOT NULL DEFAULT 0
    CHECK ((draining = ANY (ARRAY[(0)::bigint, (1)::bigint])))
    CHECK ((images = ANY (ARRAY[(0)::bigint, (1)::bigint])))
    CHECK ((name <> ''::text))
    UNIQUE (name)
    PRIMARY KEY (id)
    CHECK ((slots >= 0))
    CREATE UNIQUE INDEX runners_name_key ON public.runners USING btree (name)
    CREATE UNIQUE INDEX runners_pkey ON public.runners USING btree (id)
-- runs
    id uuid NOT NULL
    job_id uuid NOT NULL
    project_id uuid NOT NULL
    issue_id uuid NOT NULL
    number bigint NOT NULL
    kind text NOT NULL
    epoch bigint NOT NULL
    round bigint NOT NULL
    agent text NOT NULL
    runner_id uuid NOT NULL
    phase text NOT NULL
    state text NOT NULL
    start_commit text NOT NULL
    attempt text
    usage text
    session_agent text
    session text
    progress text
    log_bytes bigint NOT NULL
    log_closed bigint NOT NULL
    started_at bigint NOT NULL
    ended_at bigint
    traffic text
    CHECK ((length(attempt) = 40))
    CHECK (((phase = 'running'::text) = (ended_at IS NULL)))
    CHECK (((session IS NULL) = (session_agent IS NULL)))
    CHECK ((((state)::jsonb ->> 'phase'::text) = phase))
    CHECK ((epoch >= 1))
    FOREIGN KEY (issue_id) REFERENCES issues(id)
    UNIQUE (job_id, epoch)
    FOREIGN KEY (job_id) REFERENCES jobs(id)
    CHECK ((kind = ANY (ARRAY['author'::text, 'verify'::text, 'trial'::text, 'tryout'::text])))
    CHECK ((log_bytes >= 0))
    CHECK ((log_closed = ANY (ARRAY[(0)::bigint, (1)::bigint])))
    CHECK ((number >= 1))
    CHECK ((phase = ANY (ARRAY['running'::text, 'succeeded'::text, 'failed'::text, 'stopped'::text, 'asked'::text])))
    PRIMARY KEY (id)
    FOREIGN KEY (project_id) REFERENCES projects(id)
    CHECK ((round >= 1))
    FOREIGN KEY (runner_id) REFERENCES runners(id)
    CHECK ((length(start_commit) = 40))
    CREATE INDEX runs_issue ON public.runs USING btree (issue_id, id)
    CREATE UNIQUE INDEX runs_job_id_epoch_key ON public.runs USING btree (job_id, epoch)
    CREATE INDEX runs_log_open ON public.runs USING btree (ended_at, id) WHERE (log_closed = 0)
    CREATE UNIQUE INDEX runs_pkey ON public.runs USING btree (id)
    CREATE INDEX runs_project ON public.runs USING btree (project_id, id)
    CREATE INDEX runs_session ON public.runs USING btree (issue_id, session_agent, id) WHERE (session IS NOT NULL)
-- schema_versions
    version bigint NOT NULL
    name text NOT NULL
    checksum text NOT NULL
    PRIMARY KEY (version)
    CREATE UNIQUE INDEX schema_versions_pkey ON public.schema_versions USING btree (version)
-- secrets
    project_id uuid NOT NULL
    name text NOT NULL
    sealed bytea NOT NULL
    set_by text NOT NULL
    set_at bigint NOT NULL
    CHECK ((name <> ''::text))
    PRIMARY KEY (project_id, name)
    FOREIGN KEY (project_id) REFERENCES projects(id)
    CREATE UNIQUE INDEX secrets_pkey ON public.secrets USING btree (project_id, name)
-- sign_ins
    state bytea NOT NULL
    used_at bigint NOT NULL
    PRIMARY KEY (state)
    CHECK ((length(state) = 32))
    CREATE UNIQUE INDEX sign_ins_pkey ON public.sign_ins USING btree (state)
    CREATE INDEX sign_ins_used ON public.sign_ins USING btree (used_at)
-- speeches
    run_id uuid NOT NULL
    kind text NOT NULL
    count bigint NOT NULL
    last_at bigint NOT NULL
    CHECK ((count >= 1))
    CHECK ((kind = ANY (ARRAY['ask'::text, 'progress'::text, 'guideline'::text, 'split'::text])))
    PRIMARY KEY (run_id, kind)
    FOREIGN KEY (run_id) REFERENCES runs(id)
    CREATE UNIQUE INDEX speeches_pkey ON public.speeches USING btree (run_id, kind)
-- splits
    issue_id uuid NOT NULL
    parent_id uuid NOT NULL
    run_id uuid NOT NULL
    CHECK ((issue_id <> parent_id))
    FOREIGN KEY (issue_id) REFERENCES issues(id)
    FOREIGN KEY (parent_id) REFERENCES issues(id)
    PRIMARY KEY (issue_id)
    FOREIGN KEY (run_id) REFERENCES runs(id)
    CREATE INDEX splits_parent ON public.splits USING btree (parent_id, issue_id)
    CREATE UNIQUE INDEX splits_pkey ON public.splits USING btree (issue_id)
-- standings
    issue_id uuid NOT NULL
    project_id uuid NOT NULL
    weight bigint NOT NULL
    since bigint NOT NULL
    stale bigint NOT NULL
    FOREIGN KEY (issue_id) REFERENCES issues(id)
    PRIMARY KEY (issue_id)
    FOREIGN KEY (project_id) REFERENCES projects(id)
    CHECK ((stale = ANY (ARRAY[(0)::bigint, (1)::bigint])))
    CREATE UNIQUE INDEX standings_pkey ON public.standings USING btree (issue_id)
    CREATE INDEX standings_since ON public.standings USING btree (since, weight, issue_id, project_id)
    CREATE INDEX standings_stale ON public.standings USING btree (issue_id) WHERE (stale = 1)
    CREATE INDEX standings_weight ON public.standings USING btree (weight DESC, since, issue_id, project_id)
-- steers
    id uuid NOT NULL
    run_id uuid NOT NULL
    issue_id uuid NOT NULL
    round bigint NOT NULL
    author text NOT NULL
    trust text NOT NULL
    body text NOT NULL
    interrupts bigint NOT NULL
    created_at bigint NOT NULL
    handed_at bigint
    late_at bigint
    CHECK ((body <> ''::text))
    CHECK (((handed_at IS NULL) OR (late_at IS NULL)))
    CHECK ((interrupts = ANY (ARRAY[(0)::bigint, (1)::bigint])))
    FOREIGN KEY (issue_id) REFERENCES issues(id)
    PRIMARY KEY (id)
    CHECK ((round >= 1))
    FOREIGN KEY (run_id) REFERENCES runs(id)
    CHECK ((trust = ANY (ARRAY['tool'::text, 'outsider'::text, 'collaborator'::text, 'maintainer'::text, 'operator'::text])))
    CREATE INDEX steers_issue ON public.steers USING btree (issue_id, created_at, id)
    CREATE UNIQUE INDEX steers_pkey ON public.steers USING btree (id)
    CREATE INDEX steers_run ON public.steers USING btree (run_id, created_at, id)
-- tokens
    id uuid NOT NULL
    hash bytea NOT NULL
    holder text NOT NULL
    user_id uuid
    runner_id uuid
    run_id uuid
    project_id uuid
    label text NOT NULL
    expires_at bigint
    revoked_at bigint
    created_at bigint NOT NULL
    used_at bigint
    CHECK (((holder = 'person'::text) = (user_id IS NOT NULL)))
    CHECK (((holder = 'runner'::text) = (runner_id IS NOT NULL)))
    CHECK (((holder = 'run'::text) = (run_id IS NOT NULL)))
    CHECK (((holder = 'run'::text) = (project_id IS NOT NULL)))
    CHECK ((length(hash) = 32))
    UNIQUE (hash)
    CHECK ((holder = ANY (ARRAY['person'::text, 'runner'::text, 'run'::text])))
    PRIMARY KEY (id)
    FOREIGN KEY (project_id) REFERENCES projects(id)
    FOREIGN KEY (run_id) REFERENCES runs(id) DEFERRABLE INITIALLY DEFERRED
    FOREIGN KEY (runner_id) REFERENCES runners(id)
    FOREIGN KEY (user_id) REFERENCES users(id)
    CREATE UNIQUE INDEX tokens_hash_key ON public.tokens USING btree (hash)
    CREATE UNIQUE INDEX tokens_pkey ON public.tokens USING btree (id)
    CREATE INDEX tokens_run ON public.tokens USING btree (run_id) WHERE (run_id IS NOT NULL)
    CREATE INDEX tokens_user ON public.tokens USING btree (user_id, created_at, id) WHERE (user_id IS NOT NULL)
-- tryouts
    job_id uuid NOT NULL
    issue_id uuid NOT NULL
    seal text NOT NULL
    base text
    run_id uuid
    result text
    created_at bigint NOT NULL
    ended_at bigint
    CHECK ((length(base) = 40))
    CHECK (((result IS NULL) = (base IS NULL)))
    CHECK (((result IS NULL) = (run_id IS NULL)))
    CHECK (((result IS NULL) = (ended_at IS NULL)))
    FOREIGN KEY (issue_id) REFERENCES issues(id)
    FOREIGN KEY (job_id) REFERENCES jobs(id)
    PRIMARY KEY (job_id)
    FOREIGN KEY (run_id) REFERENCES runs(id)
    CHECK ((length(seal) = 64))
    CREATE INDEX tryouts_issue ON public.tryouts USING btree (issue_id, created_at, job_id)
    CREATE UNIQUE INDEX tryouts_pkey ON public.tryouts USING btree (job_id)
-- users
    id uuid NOT NULL
    name text NOT NULL COLLATE "C"
    is_admin bigint NOT NULL
    created_at bigint NOT NULL
    CHECK ((is_admin = ANY (ARRAY[(0)::bigint, (1)::bigint])))
    CHECK ((name <> ''::text))
    UNIQUE (name)
    PRIMARY KEY (id)
    CREATE UNIQUE INDEX users_name_key ON public.users USING btree (name)
    CREATE UNIQUE INDEX users_pkey ON public.users USING btree (id)
-- verdicts
    run_id uuid NOT NULL
    issue_id uuid NOT NULL
    head text NOT NULL
    base text NOT NULL
    colour text NOT NULL
    reasons text NOT NULL
    findings text NOT NULL
    report text NOT NULL
    created_at bigint NOT NULL
    CHECK ((length(base) = 40))
    CHECK ((colour = ANY (ARRAY['green'::text, 'red'::text, 'unproven'::text])))
    CHECK ((length(head) = 40))
    FOREIGN KEY (issue_id) REFERENCES issues(id)
    PRIMARY KEY (run_id)
    FOREIGN KEY (run_id) REFERENCES runs(id)
    CREATE INDEX verdicts_head ON public.verdicts USING btree (issue_id, head, created_at, run_id)
    CREATE INDEX verdicts_issue ON public.verdicts USING btree (issue_id, created_at, run_id)
    CREATE UNIQUE INDEX verdicts_pkey ON public.verdicts USING btree (run_id)
-- viewed_files
    user_id uuid NOT NULL
    issue_id uuid NOT NULL
    path text NOT NULL COLLATE "C"
    blob text NOT NULL
    viewed_at bigint NOT NULL
    CHECK ((length(blob) = 40))
    FOREIGN KEY (issue_id) REFERENCES issues(id)
    CHECK ((path <> ''::text))
    PRIMARY KEY (user_id, issue_id, path)
    FOREIGN KEY (user_id) REFERENCES users(id)
    CREATE UNIQUE INDEX viewed_files_pkey ON public.viewed_files USING btree (user_id, issue_id, path)
-- views
    user_id uuid NOT NULL
    name text NOT NULL
    filter text NOT NULL
    is_default bigint NOT NULL
    created_at bigint NOT NULL
    CHECK ((is_default = ANY (ARRAY[(0)::bigint, (1)::bigint])))
    CHECK ((name <> ''::text))
    PRIMARY KEY (user_id, name)
    FOREIGN KEY (user_id) REFERENCES users(id)
    CREATE UNIQUE INDEX views_default ON public.views USING btree (user_id) WHERE (is_default = 1)
    CREATE UNIQUE INDEX views_pkey ON public.views USING btree (user_id, name)
