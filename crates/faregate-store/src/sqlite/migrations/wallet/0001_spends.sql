-- Money is decimal text: `amount` in atomic units of the asset, `worth` in units of 10^-18 dollars.
-- Times are whole seconds since 1970.

-- Everything that was signed. What was signed never changes; how it ended is added.
CREATE TABLE spend (
    seq             INTEGER PRIMARY KEY,
    id              BLOB    NOT NULL UNIQUE CHECK (length(id) = 32),
    origin          TEXT    NOT NULL,
    resource        TEXT    NOT NULL,
    payee           TEXT    NOT NULL,
    asset           TEXT    NOT NULL,
    amount          TEXT    NOT NULL CHECK (length(amount) BETWEEN 1 AND 78 AND amount NOT GLOB '*[^0-9]*'),
    worth           TEXT    NOT NULL CHECK (length(worth) BETWEEN 1 AND 78 AND worth NOT GLOB '*[^0-9]*'),
    signed_at       INTEGER NOT NULL,
    valid_until     INTEGER NOT NULL,
    credential      BLOB    NOT NULL,
    state           TEXT    NOT NULL CHECK (state IN ('open', 'paid', 'refused')),
    transaction_ref TEXT,
    refusal         TEXT,
    finished_at     INTEGER
) STRICT;

CREATE INDEX spend_signed ON spend (signed_at, seq);
CREATE INDEX spend_payee ON spend (origin, asset, seq);

CREATE TRIGGER spend_is_not_changed
BEFORE UPDATE OF id, origin, resource, payee, asset, amount, worth, signed_at, valid_until, credential ON spend
BEGIN SELECT RAISE(ABORT, 'what was signed is immutable'); END;
CREATE TRIGGER spend_is_not_removed BEFORE DELETE ON spend
BEGIN SELECT RAISE(ABORT, 'what was signed is immutable'); END;

-- Sums of `worth`, kept beside the spends for speed and written in the same transaction.
-- `SqliteWallet::audit` recomputes both.
CREATE TABLE signed_for_origin (
    origin TEXT PRIMARY KEY,
    worth  TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- One row per slot of 64^level seconds, so that a window of any length is the sum of few rows.
CREATE TABLE signed_in_slot (
    level INTEGER NOT NULL,
    slot  INTEGER NOT NULL,
    worth TEXT    NOT NULL,
    PRIMARY KEY (level, slot)
) STRICT, WITHOUT ROWID;

-- For people.
CREATE VIEW spends AS
SELECT '0x' || lower(hex(id)) AS id, origin, resource, payee, asset, amount, worth, state, transaction_ref, refusal,
       datetime(signed_at, 'unixepoch') AS signed, datetime(finished_at, 'unixepoch') AS finished
FROM spend;
