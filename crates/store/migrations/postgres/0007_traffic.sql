-- What a run reached and what it was refused, as its broker counted it (JSON).
ALTER TABLE runs ADD COLUMN traffic TEXT;
