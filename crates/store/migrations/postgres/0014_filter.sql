-- A board that is filtered by agent or by text is answered from the index: whether a title fits is
-- seen without its row.

DROP INDEX issues_project_phase;
CREATE INDEX issues_project_phase ON issues (project_id, phase, created_at, id) INCLUDE (agent, title_folded);
