-- Filters of the board that people keep under a name; at most one is what the board opens with.
CREATE TABLE views (
    user_id BLOB NOT NULL REFERENCES users (id),
    name TEXT NOT NULL CHECK (name <> ''),
    filter TEXT NOT NULL,
    is_default INTEGER NOT NULL CHECK (is_default IN (0, 1)),
    created_at INTEGER NOT NULL,
    PRIMARY KEY (user_id, name)
) STRICT;
CREATE UNIQUE INDEX views_default ON views (user_id) WHERE is_default = 1;

-- When a token last opened something, to the hour.
ALTER TABLE tokens ADD COLUMN used_at INTEGER;

-- No list of parked jobs is shown any more: standings hold what waits.
DROP INDEX jobs_parked;
