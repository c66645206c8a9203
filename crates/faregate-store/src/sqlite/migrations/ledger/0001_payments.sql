-- Money is decimal text in atomic units: exact at 256 bits and readable in any SQLite shell.
-- Times are whole seconds since 1970. Ids and fingerprints are 32 bytes.

-- Reserved money. A row is never changed or removed: its end is a row of its own.
CREATE TABLE transfer (
    seq         INTEGER PRIMARY KEY,
    payment     BLOB    NOT NULL CHECK (length(payment) = 32),
    debit       TEXT    NOT NULL,
    credit      TEXT    NOT NULL,
    asset       TEXT    NOT NULL,
    amount      TEXT    NOT NULL CHECK (length(amount) BETWEEN 1 AND 78 AND amount NOT GLOB '*[^0-9]*'),
    reserved_at INTEGER NOT NULL
) STRICT;

-- How a transfer ended. One without a row here is pending.
CREATE TABLE transfer_end (
    transfer INTEGER PRIMARY KEY REFERENCES transfer (seq),
    phase    TEXT    NOT NULL CHECK (phase IN ('posted', 'voided')),
    ended_at INTEGER NOT NULL
) STRICT;

CREATE TRIGGER transfer_is_not_changed BEFORE UPDATE ON transfer
BEGIN SELECT RAISE(ABORT, 'a transfer is immutable'); END;
CREATE TRIGGER transfer_is_not_removed BEFORE DELETE ON transfer
BEGIN SELECT RAISE(ABORT, 'a transfer is immutable'); END;
CREATE TRIGGER transfer_end_is_not_changed BEFORE UPDATE ON transfer_end
BEGIN SELECT RAISE(ABORT, 'a transfer ends once'); END;
CREATE TRIGGER transfer_end_is_not_removed BEFORE DELETE ON transfer_end
BEGIN SELECT RAISE(ABORT, 'a transfer ends once'); END;

-- The sum of the transfers of one account, kept beside them for speed and written in the same transaction.
-- `SqliteLedger::audit` recomputes it.
CREATE TABLE balance (
    account         TEXT NOT NULL,
    asset           TEXT NOT NULL,
    debits_pending  TEXT NOT NULL,
    debits_posted   TEXT NOT NULL,
    credits_pending TEXT NOT NULL,
    credits_posted  TEXT NOT NULL,
    PRIMARY KEY (account, asset)
) STRICT, WITHOUT ROWID;

CREATE TABLE payment (
    seq             INTEGER PRIMARY KEY,
    id              BLOB    NOT NULL UNIQUE CHECK (length(id) = 32),
    rail            TEXT    NOT NULL,
    fingerprint     BLOB    NOT NULL CHECK (length(fingerprint) = 32),
    state           TEXT    NOT NULL CHECK (state IN ('reserved', 'broadcast', 'settled', 'failed', 'released')),
    transfer        INTEGER NOT NULL UNIQUE REFERENCES transfer (seq),
    route           TEXT    NOT NULL,
    evidence        BLOB    NOT NULL,
    transaction_ref TEXT,
    failure         TEXT,
    claimed_at      INTEGER NOT NULL,
    changed_at      INTEGER NOT NULL
) STRICT;

-- What recovery works on: small however long the history is.
CREATE INDEX payment_open ON payment (changed_at, transfer) WHERE state IN ('reserved', 'broadcast');
CREATE INDEX payment_claimed ON payment (claimed_at, transfer);

-- The answer that was sold, for copies of the same request. `headers` is a sequence of name and value, each preceded by
-- its length as four bytes, big-endian. A missing body was too large to keep.
CREATE TABLE answer (
    payment BLOB    PRIMARY KEY REFERENCES payment (id),
    status  INTEGER NOT NULL CHECK (status BETWEEN 100 AND 599),
    headers BLOB    NOT NULL,
    body    BLOB
) STRICT;

-- For people.
CREATE VIEW payments AS
SELECT '0x' || lower(hex(p.id)) AS id, p.rail, p.state, t.debit, t.credit, t.asset, t.amount, p.route,
       p.transaction_ref, p.failure, datetime(p.claimed_at, 'unixepoch') AS claimed,
       datetime(p.changed_at, 'unixepoch') AS changed
FROM payment p JOIN transfer t ON t.seq = p.transfer;
