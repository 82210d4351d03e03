-- People whom a provider outside vouches for.

-- What a provider calls a person never changes: its issuer and its subject. The rest is what it
-- said last, to be shown.
CREATE TABLE identities (
    id UUID NOT NULL PRIMARY KEY,
    user_id UUID NOT NULL REFERENCES users (id),
    provider TEXT NOT NULL CHECK (provider <> ''),
    issuer TEXT NOT NULL CHECK (issuer <> ''),
    subject TEXT NOT NULL CHECK (subject <> ''),
    email TEXT,
    created_at BIGINT NOT NULL,
    used_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX identities_subject ON identities (issuer, subject);
CREATE INDEX identities_user ON identities (user_id, created_at, id);

-- Sign-ins that came back from a provider, so that none comes back twice.
CREATE TABLE sign_ins (
    state BYTEA NOT NULL PRIMARY KEY CHECK (length(state) = 32),
    used_at BIGINT NOT NULL
);
CREATE INDEX sign_ins_used ON sign_ins (used_at);
