-- When each verdict was reached, so that the one in force at a time is found without reading the
-- others. The index holds all that is needed to choose.
ALTER TABLE verdict_history ADD COLUMN taken INTEGER NOT NULL DEFAULT 0;
UPDATE verdict_history SET taken = json_extract(body, '$.ballot.taken');
DROP INDEX verdict_history_check;
CREATE INDEX verdict_history_check ON verdict_history (check_id, id, taken);
