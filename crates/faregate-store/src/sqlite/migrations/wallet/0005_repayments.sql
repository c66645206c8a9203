-- What was sent to repay debts on tabs of a credit network. What was begun never changes; how it ended is added.
-- A void one will never happen; all others count as paid.
CREATE TABLE repayment (
    seq             INTEGER PRIMARY KEY,
    chain           TEXT    NOT NULL,
    contract        BLOB    NOT NULL CHECK (length(contract) = 20),
    payer           BLOB    NOT NULL CHECK (length(payer) = 20),
    tab             BLOB    NOT NULL CHECK (length(tab) = 32),
    number          INTEGER NOT NULL CHECK (number >= 0),
    recipient       BLOB    NOT NULL CHECK (length(recipient) = 20),
    asset           BLOB    NOT NULL CHECK (length(asset) = 20),
    amount          TEXT    NOT NULL CHECK (length(amount) BETWEEN 1 AND 78 AND amount NOT GLOB '*[^0-9]*'),
    total           TEXT    NOT NULL CHECK (length(total) BETWEEN 1 AND 78 AND total NOT GLOB '*[^0-9]*'),
    begun_at        INTEGER NOT NULL,
    state           TEXT    NOT NULL CHECK (state IN ('open', 'paid', 'recorded', 'void')),
    transaction_ref BLOB    CHECK (length(transaction_ref) = 32),
    UNIQUE (tab, payer, contract, chain, number)
) STRICT;

-- One at a time.
CREATE UNIQUE INDEX repayment_open ON repayment (payer, contract, chain, tab) WHERE state = 'open';

CREATE TRIGGER repayment_is_not_changed
BEFORE UPDATE OF seq, chain, contract, payer, tab, number, recipient, asset, amount, total, begun_at ON repayment
BEGIN SELECT RAISE(ABORT, 'what was begun is immutable'); END;
CREATE TRIGGER repayment_is_not_removed BEFORE DELETE ON repayment
BEGIN SELECT RAISE(ABORT, 'what was begun is immutable'); END;

-- Its signed transactions, each written down before it was sent. Of all with one nonce at most one is mined.
CREATE TABLE repayment_sending (
    seq       INTEGER PRIMARY KEY,
    repayment INTEGER NOT NULL REFERENCES repayment (seq),
    hash      BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32),
    nonce     INTEGER NOT NULL,
    raw       BLOB    NOT NULL
) STRICT;

CREATE INDEX repayment_sendings ON repayment_sending (repayment, seq);

CREATE TRIGGER repayment_sending_is_not_changed BEFORE UPDATE ON repayment_sending
BEGIN SELECT RAISE(ABORT, 'what was sent is immutable'); END;
CREATE TRIGGER repayment_sending_is_not_removed BEFORE DELETE ON repayment_sending
BEGIN SELECT RAISE(ABORT, 'what was sent is immutable'); END;

-- For people.
CREATE VIEW repayments AS
SELECT '0x' || lower(hex(tab)) AS tab, number, '0x' || lower(hex(recipient)) AS recipient, '0x' || lower(hex(asset)) AS asset, amount,
       total, state, '0x' || lower(hex(transaction_ref)) AS transaction_ref, datetime(begun_at, 'unixepoch') AS begun
FROM repayment;
