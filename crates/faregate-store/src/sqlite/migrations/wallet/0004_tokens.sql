-- Who paid: an address, or the name of a Lightning wallet. Nobody wrote it down before.
ALTER TABLE spend ADD COLUMN payer TEXT NOT NULL DEFAULT '';
DROP TRIGGER spend_is_not_changed;
CREATE TRIGGER spend_is_not_changed
BEFORE UPDATE OF id, origin, resource, path, payee, payer, asset, amount, worth, signed_at, valid_until, credential ON spend
BEGIN SELECT RAISE(ABORT, 'what was signed is immutable'); END;

DROP VIEW spends;
CREATE VIEW spends AS
SELECT '0x' || lower(hex(id)) AS id, origin, resource, payer, payee, asset, amount, worth, state, transaction_ref, refusal,
       datetime(signed_at, 'unixepoch') AS signed, datetime(finished_at, 'unixepoch') AS finished
FROM spend;

-- Tokens that were bought and may be shown again. `credential` is a secret: whoever has it may use it.
CREATE TABLE token (
    payment    BLOB    PRIMARY KEY CHECK (length(payment) = 32),
    origin     TEXT    NOT NULL,
    method     TEXT    NOT NULL,
    path       TEXT    NOT NULL,
    bought_at  INTEGER NOT NULL,
    ends_at    INTEGER NOT NULL,
    uses_left  INTEGER CHECK (uses_left > 0),
    credential BLOB    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX token_place ON token (origin, method, bought_at);
CREATE INDEX token_end ON token (ends_at);
