-- The sentence that a text is, beside it in English, so that it can be said in the reader's language;
-- nothing where it is somebody's own words, or was kept before.
ALTER TABLE messages ADD COLUMN said TEXT;
ALTER TABLE notifications ADD COLUMN said TEXT;
