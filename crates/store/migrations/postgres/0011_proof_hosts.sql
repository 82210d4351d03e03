-- A host may be missed by an issue's author and by its proof: two questions, since a proof leans on
-- nothing that was allowed for one issue.

ALTER TABLE host_asks ADD COLUMN need TEXT NOT NULL DEFAULT 'author' CHECK (need IN ('author', 'proof'));
ALTER TABLE host_asks ALTER COLUMN need DROP DEFAULT;
ALTER TABLE host_asks ADD CHECK (need = 'author' OR decision <> 'issue');
ALTER TABLE host_asks DROP CONSTRAINT host_asks_pkey;
ALTER TABLE host_asks ADD PRIMARY KEY (issue_id, host, need);
