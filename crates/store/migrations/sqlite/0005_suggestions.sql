-- Comments on ranges of lines, and the commit whose lines they mean.

ALTER TABLE review_drafts ADD COLUMN first_line INTEGER CHECK (first_line >= 1 AND first_line <= line);
ALTER TABLE review_drafts ADD COLUMN head TEXT CHECK (length(head) = 40);

-- What is past is read by itself, for everybody.
CREATE INDEX notifications_open ON notifications (issue_id) WHERE read_at IS NULL;
