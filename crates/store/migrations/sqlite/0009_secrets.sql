-- Values of the secrets that projects name in their settings, sealed by a key that is not in here.
CREATE TABLE secrets (
    project_id BLOB NOT NULL REFERENCES projects (id),
    name TEXT NOT NULL CHECK (name <> ''),
    sealed BLOB NOT NULL,
    set_by TEXT NOT NULL,
    set_at INTEGER NOT NULL,
    PRIMARY KEY (project_id, name)
) STRICT;
