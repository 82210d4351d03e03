-- People whom a provider outside vouches for.

-- What a provider calls a person never changes: its issuer and its subject. The rest is what it
-- said last, to be shown.
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

-- Sign-ins that came back from a provider, so that none comes back twice.
CREATE TABLE sign_ins (
    state BLOB NOT NULL PRIMARY KEY CHECK (length(state) = 32),
    used_at INTEGER NOT NULL
) STRICT;
CREATE INDEX sign_ins_used ON sign_ins (used_at);
