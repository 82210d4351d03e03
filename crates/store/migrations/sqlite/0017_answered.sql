-- What waits for an answer that the settings may give, found without looking at the rest.
CREATE INDEX host_asks_open ON host_asks (issue_id) WHERE decision IS NULL;
CREATE INDEX issues_failed ON issues (project_id, id) WHERE failed IS NOT NULL;
