-- Instants are microseconds since 1970-01-01T00:00:00Z. `body` is JSON; `sum` is its checksum.

-- Results in the order in which they were stored. No other index: one that follows the check
-- touches as many pages as there are checks in each commit, and costs thirty times as much.
CREATE TABLE result (
    id       INTEGER PRIMARY KEY,
    received INTEGER NOT NULL,
    sum      INTEGER NOT NULL,
    body     TEXT    NOT NULL
) STRICT;

-- Spans of results that were received close together: finds recent and old results without
-- reading the others.
CREATE TABLE segment (
    first    INTEGER PRIMARY KEY,
    last     INTEGER NOT NULL,
    earliest INTEGER NOT NULL,
    latest   INTEGER NOT NULL
) STRICT;

-- The highest stored number of each run of each agent, and when its last result was received.
CREATE TABLE watermark (
    agent    TEXT    NOT NULL,
    boot     BLOB    NOT NULL,
    sequence INTEGER NOT NULL,
    received INTEGER NOT NULL,
    PRIMARY KEY (agent, boot)
) STRICT, WITHOUT ROWID;

-- The highest round in any result or ballot. One row.
CREATE TABLE round (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    highest INTEGER NOT NULL
) STRICT;
INSERT INTO round VALUES (1, 0);

-- The last verdict of each check, with what the engine remembers of the check.
CREATE TABLE verdict (
    check_id TEXT    PRIMARY KEY,
    sum      INTEGER NOT NULL,
    body     TEXT    NOT NULL
) STRICT;

-- Every verdict, with its ballot, for ever.
CREATE TABLE verdict_history (
    id       INTEGER PRIMARY KEY,
    check_id TEXT    NOT NULL,
    sum      INTEGER NOT NULL,
    body     TEXT    NOT NULL
) STRICT;
CREATE INDEX verdict_history_check ON verdict_history (check_id, id);

-- The identifier begins with the instant of opening, so it gives the order.
CREATE TABLE incident (
    id       BLOB    PRIMARY KEY,
    check_id TEXT    NOT NULL,
    open     INTEGER NOT NULL,
    sum      INTEGER NOT NULL,
    body     TEXT    NOT NULL
) STRICT;
CREATE INDEX incident_check ON incident (check_id, id);
CREATE INDEX incident_open ON incident (id) WHERE open = 1;

-- The outbox, and after it what became of each message. In the order of decision.
CREATE TABLE delivery (
    id           INTEGER PRIMARY KEY,
    key          TEXT    NOT NULL UNIQUE,
    receiver     TEXT    NOT NULL,
    incident     BLOB,
    state        TEXT    NOT NULL CHECK (state IN ('pending', 'sent', 'failed')),
    attempts     INTEGER NOT NULL,
    next_attempt INTEGER NOT NULL,
    last_attempt INTEGER,
    error        TEXT,
    sum          INTEGER NOT NULL,
    body         TEXT    NOT NULL
) STRICT;
CREATE INDEX delivery_pending ON delivery (next_attempt) WHERE state = 'pending';
CREATE INDEX delivery_incident ON delivery (incident, id) WHERE incident IS NOT NULL;

-- Tokens are kept as SHA-256.
CREATE TABLE join_token (
    hash    BLOB    PRIMARY KEY,
    agent   TEXT    NOT NULL,
    region  TEXT    NOT NULL,
    expires INTEGER NOT NULL,
    used    INTEGER
) STRICT;

CREATE TABLE api_token (
    hash BLOB PRIMARY KEY,
    name TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('viewer', 'operator', 'admin'))
) STRICT;

CREATE TABLE agent (
    name    TEXT    PRIMARY KEY,
    region  TEXT    NOT NULL,
    joined  INTEGER NOT NULL,
    seen    INTEGER,
    version TEXT
) STRICT;
