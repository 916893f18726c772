-- What the engine remembers between two changes of a verdict: of a check, or, under the empty name, of
-- the whole. A change of the verdict brings its own memory and deletes the row.
CREATE TABLE memory (
    check_id TEXT    PRIMARY KEY,
    sum      INTEGER NOT NULL,
    body     TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
