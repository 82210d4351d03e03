-- Values of the secrets that projects name in their settings, sealed by a key that is not in here.
CREATE TABLE secrets (
    project_id UUID NOT NULL REFERENCES projects (id),
    name TEXT NOT NULL CHECK (name <> ''),
    sealed BYTEA NOT NULL,
    set_by TEXT NOT NULL,
    set_at BIGINT NOT NULL,
    PRIMARY KEY (project_id, name)
);
