-- What a person decided about a guideline that an agent proposed.

ALTER TABLE proposals ADD COLUMN decision TEXT CHECK (decision IN ('accepted', 'dismissed'));
ALTER TABLE proposals ADD COLUMN decided_by TEXT CHECK ((decision IS NULL) = (decided_by IS NULL));
ALTER TABLE proposals ADD COLUMN decided_at INTEGER CHECK ((decision IS NULL) = (decided_at IS NULL));
