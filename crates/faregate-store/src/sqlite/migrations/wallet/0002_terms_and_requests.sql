-- Spends learn the path they are for and a fourth end, `unused`. SQLite cannot change a CHECK, so the table is made anew.
DROP VIEW spends;
CREATE TABLE spend_new (
    seq             INTEGER PRIMARY KEY,
    id              BLOB    NOT NULL UNIQUE CHECK (length(id) = 32),
    origin          TEXT    NOT NULL,
    resource        TEXT    NOT NULL,
    path            TEXT    NOT NULL,
    payee           TEXT    NOT NULL,
    asset           TEXT    NOT NULL,
    amount          TEXT    NOT NULL CHECK (length(amount) BETWEEN 1 AND 78 AND amount NOT GLOB '*[^0-9]*'),
    worth           TEXT    NOT NULL CHECK (length(worth) BETWEEN 1 AND 78 AND worth NOT GLOB '*[^0-9]*'),
    signed_at       INTEGER NOT NULL,
    valid_until     INTEGER NOT NULL,
    credential      BLOB    NOT NULL,
    state           TEXT    NOT NULL CHECK (state IN ('open', 'paid', 'refused', 'unused')),
    transaction_ref TEXT,
    refusal         TEXT,
    finished_at     INTEGER
) STRICT;

-- A resource was written `METHOD path #sixteen-hex-digits`.
INSERT INTO spend_new
SELECT seq, id, origin, resource,
       CASE WHEN resource GLOB '* /* #????????????????'
            THEN substr(resource, instr(resource, ' ') + 1, length(resource) - instr(resource, ' ') - 18)
            ELSE '' END,
       payee, asset, amount, worth, signed_at, valid_until, credential, state, transaction_ref, refusal, finished_at
FROM spend;
DROP TABLE spend;
ALTER TABLE spend_new RENAME TO spend;

CREATE INDEX spend_signed ON spend (signed_at, seq);
CREATE INDEX spend_first_payee ON spend (origin, asset, seq);
CREATE INDEX spend_payee ON spend (origin, asset, payee);
CREATE INDEX spend_place ON spend (origin, path, seq);
CREATE INDEX spend_open ON spend (seq) WHERE state = 'open';

CREATE TRIGGER spend_is_not_changed
BEFORE UPDATE OF id, origin, resource, path, payee, asset, amount, worth, signed_at, valid_until, credential ON spend
BEGIN SELECT RAISE(ABORT, 'what was signed is immutable'); END;
CREATE TRIGGER spend_is_not_removed BEFORE DELETE ON spend
BEGIN SELECT RAISE(ABORT, 'what was signed is immutable'); END;

-- The request of a spend, for as long as its end is unknown. It may hold secrets, so it does not outlive its use.
CREATE TABLE spend_request (
    spend   BLOB PRIMARY KEY CHECK (length(spend) = 32),
    request BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE VIEW spends AS
SELECT '0x' || lower(hex(id)) AS id, origin, resource, payee, asset, amount, worth, state, transaction_ref, refusal,
       datetime(signed_at, 'unixepoch') AS signed, datetime(finished_at, 'unixepoch') AS finished
FROM spend;
