-- Only what PostgreSQL shares with its distributed relatives: no sequences, no triggers, no foreign keys, no advisory locks.
-- Every primary key begins with what rows are found by, and so does every table that may be spread: a payment (with its
-- transfers and its answer) by its id, an account by its name.
--
-- Money is NUMERIC(78, 0): every number of 256 bits, readable and summable in any SQL shell. Times are whole seconds since
-- 1970. Ids and fingerprints are 32 bytes. `seq` is a number that grows with time (microseconds, then ten bits that differ
-- between processes), so that no counter is shared. Texts from outside have `\` as `\\` and the zero byte as `\0`.

-- Reserved money. A row is never changed or removed: its end is a row of its own.
CREATE TABLE transfer (
    payment     BYTEA          NOT NULL CHECK (length(payment) = 32),
    seq         BIGINT         NOT NULL,
    debit       TEXT           NOT NULL,
    credit      TEXT           NOT NULL,
    asset       TEXT           NOT NULL,
    amount      NUMERIC(78, 0) NOT NULL CHECK (amount >= 0),
    reserved_at BIGINT         NOT NULL,
    PRIMARY KEY (payment, seq)
);

-- How a transfer ended. One without a row here is pending.
CREATE TABLE transfer_end (
    payment  BYTEA  NOT NULL,
    seq      BIGINT NOT NULL,
    phase    TEXT   NOT NULL CHECK (phase IN ('posted', 'voided')),
    ended_at BIGINT NOT NULL,
    PRIMARY KEY (payment, seq)
);

-- A posting that the chain took back. The payment has a new transfer then; this one counts for nothing.
CREATE TABLE transfer_reversal (
    payment         BYTEA  NOT NULL,
    seq             BIGINT NOT NULL,
    transaction_ref TEXT,
    reversed_at     BIGINT NOT NULL,
    PRIMARY KEY (payment, seq)
);

-- The sums of the transfers of one account, kept beside them for speed and written in the same transaction, and what it owes
-- or may come to owe for what is served before the money moves. `PostgresLedger::audit` recomputes both.
CREATE TABLE balance (
    account         TEXT           COLLATE "C" NOT NULL,
    asset           TEXT           COLLATE "C" NOT NULL,
    debits_pending  NUMERIC(78, 0) NOT NULL CHECK (debits_pending >= 0),
    debits_posted   NUMERIC(78, 0) NOT NULL CHECK (debits_posted >= 0),
    credits_pending NUMERIC(78, 0) NOT NULL CHECK (credits_pending >= 0),
    credits_posted  NUMERIC(78, 0) NOT NULL CHECK (credits_posted >= 0),
    exposed         NUMERIC(78, 0) NOT NULL CHECK (exposed >= 0),
    PRIMARY KEY (account, asset)
) WITH (fillfactor = 50);

CREATE TABLE payment (
    id              BYTEA  NOT NULL PRIMARY KEY CHECK (length(id) = 32),
    rail            TEXT   NOT NULL,
    fingerprint     BYTEA  NOT NULL CHECK (length(fingerprint) = 32),
    state           TEXT   NOT NULL CHECK (state IN ('reserved', 'broadcast', 'settled', 'failed', 'released')),
    transfer        BIGINT NOT NULL,
    route           TEXT   NOT NULL,
    evidence        BYTEA  NOT NULL,
    transaction_ref TEXT,
    failure         TEXT,
    claimed_at      BIGINT NOT NULL,
    changed_at      BIGINT NOT NULL,
    final_at        BIGINT CHECK (final_at IS NULL OR state = 'settled'),
    exposure_max    NUMERIC(78, 0),
    idempotency_key TEXT,
    request         BYTEA  CHECK (length(request) = 32)
);

-- What recovery works on: small however long the history is.
CREATE INDEX payment_open ON payment (changed_at, transfer) WHERE state IN ('reserved', 'broadcast');
CREATE INDEX payment_unfinal ON payment (changed_at, transfer) WHERE state = 'settled' AND final_at IS NULL;
CREATE INDEX payment_claimed ON payment (claimed_at, transfer);

-- The payment that a payer's key stands for.
CREATE TABLE idempotency (
    account TEXT  COLLATE "C" NOT NULL,
    key     TEXT  COLLATE "C" NOT NULL,
    payment BYTEA NOT NULL,
    PRIMARY KEY (account, key)
);

-- The answer that was sold, for copies of the same request. `headers` is a sequence of name and value, each preceded by
-- its length as four bytes, big-endian. A missing body was too large to keep, or dropped: then there is no `kept_at`.
CREATE TABLE answer (
    payment BYTEA    NOT NULL PRIMARY KEY,
    seq     BIGINT   NOT NULL,
    status  SMALLINT NOT NULL CHECK (status BETWEEN 100 AND 599),
    headers BYTEA    NOT NULL,
    body    BYTEA,
    kept_at BIGINT,
    bytes   BIGINT   NOT NULL
);

CREATE INDEX answer_kept ON answer (kept_at, bytes, seq) WHERE kept_at IS NOT NULL;

-- Tokens that open nothing any more: payment hashes and token ids. Never changed, never removed.
CREATE TABLE revocation (
    name       BYTEA  NOT NULL PRIMARY KEY CHECK (length(name) = 32),
    seq        BIGINT NOT NULL,
    revoked_at BIGINT NOT NULL
);

-- What others are still to be told. A row is written with what it is about and removed when it was told.
CREATE TABLE event (
    seq     BIGINT NOT NULL PRIMARY KEY,
    kind    TEXT   NOT NULL,
    payment BYTEA  NOT NULL,
    at      BIGINT NOT NULL,
    tries   BIGINT NOT NULL DEFAULT 0,
    due_at  BIGINT NOT NULL
);

CREATE INDEX event_due ON event (due_at, seq);

-- For people.
CREATE VIEW payments AS
SELECT '0x' || encode(p.id, 'hex') AS id, p.rail, p.state, t.debit, t.credit, t.asset, t.amount, p.route,
       p.transaction_ref, p.failure, to_timestamp(p.claimed_at) AS claimed, to_timestamp(p.changed_at) AS changed
FROM payment p JOIN transfer t ON t.payment = p.id AND t.seq = p.transfer;
