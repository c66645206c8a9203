-- A settlement that is not final may be reopened; a payment may be served before it is paid; a payer may name a purchase.

-- A posting that the chain took back. The payment has a new transfer then; this one counts for nothing.
CREATE TABLE transfer_reversal (
    transfer        INTEGER PRIMARY KEY REFERENCES transfer_end (transfer),
    transaction_ref TEXT,
    reversed_at     INTEGER NOT NULL
) STRICT;

CREATE TRIGGER transfer_reversal_is_of_a_posting BEFORE INSERT ON transfer_reversal
WHEN (SELECT phase FROM transfer_end WHERE transfer = NEW.transfer) IS NOT 'posted'
BEGIN SELECT RAISE(ABORT, 'only what was posted is reversed'); END;
CREATE TRIGGER transfer_reversal_is_not_changed BEFORE UPDATE ON transfer_reversal
BEGIN SELECT RAISE(ABORT, 'a posting is reversed once'); END;
CREATE TRIGGER transfer_reversal_is_not_removed BEFORE DELETE ON transfer_reversal
BEGIN SELECT RAISE(ABORT, 'a posting is reversed once'); END;

ALTER TABLE payment ADD COLUMN final_at INTEGER CHECK (final_at IS NULL OR state = 'settled');
-- Nobody can say any more how deep these are.
UPDATE payment SET final_at = changed_at WHERE state = 'settled';
CREATE INDEX payment_unfinal ON payment (changed_at, transfer) WHERE state = 'settled' AND final_at IS NULL;

-- Set when it is served before the money moves: how much of the payer may be unpaid at once.
ALTER TABLE payment ADD COLUMN exposure_max TEXT
    CHECK (length(exposure_max) BETWEEN 1 AND 78 AND exposure_max NOT GLOB '*[^0-9]*');

-- What is reserved or owed by payments that are served before the money moves, kept for speed and written in the same
-- transaction. `SqliteLedger::audit` recomputes it.
CREATE TABLE exposure (
    account TEXT NOT NULL,
    asset   TEXT NOT NULL,
    amount  TEXT NOT NULL,
    PRIMARY KEY (account, asset)
) STRICT, WITHOUT ROWID;

-- The payer's own name for the purchase, and what is bought.
ALTER TABLE payment ADD COLUMN idempotency_key TEXT;
ALTER TABLE payment ADD COLUMN request BLOB CHECK (length(request) = 32);

-- The payment that a payer's key stands for.
CREATE TABLE idempotency (
    account TEXT NOT NULL,
    key     TEXT NOT NULL,
    payment BLOB NOT NULL REFERENCES payment (id),
    PRIMARY KEY (account, key)
) STRICT, WITHOUT ROWID;

-- When it was kept; none once headers and body are dropped.
ALTER TABLE answer ADD COLUMN kept_at INTEGER;
ALTER TABLE answer ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
UPDATE answer SET kept_at = (SELECT changed_at FROM payment WHERE id = answer.payment),
                  bytes = length(headers) + coalesce(length(body), 0);
CREATE INDEX answer_kept ON answer (kept_at, bytes) WHERE kept_at IS NOT NULL;
