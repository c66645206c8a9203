-- The books of a credit core: tabs, guarantees, what the chain said. Amounts and request numbers are decimal text, ids and hashes
-- 32 bytes, addresses 20; the zero address is ETH. The money itself is in `balance`: each row of credit_entry moves it there in the
-- same transaction, and `SqliteLedger::audit` recomputes it.

-- Whose books these are, and up to where its chain was read (null before the first block).
CREATE TABLE credit_core (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    chain      TEXT    NOT NULL,
    block      INTEGER,
    block_hash BLOB    CHECK (length(block_hash) = 32),
    block_time INTEGER,
    CHECK ((block IS NULL) = (block_hash IS NULL) AND (block IS NULL) = (block_time IS NULL))
) STRICT;

CREATE TABLE credit_account (
    address    BLOB    PRIMARY KEY CHECK (length(address) = 20),
    suspended  INTEGER NOT NULL CHECK (suspended IN (0, 1)),
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What `balance` does not know of a payer's collateral. There is a row as soon as anything happened to it.
CREATE TABLE credit_collateral (
    payer       BLOB    NOT NULL CHECK (length(payer) = 20),
    asset       BLOB    NOT NULL CHECK (length(asset) = 20),
    withdrawing TEXT    NOT NULL,
    version     INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    PRIMARY KEY (payer, asset)
) STRICT, WITHOUT ROWID;

-- The last three columns follow from the others; they are here because they are looked for.
CREATE TABLE credit_tab (
    seq          INTEGER PRIMARY KEY,
    id           BLOB    NOT NULL UNIQUE CHECK (length(id) = 32),
    payer        BLOB    NOT NULL CHECK (length(payer) = 20),
    recipient    BLOB    NOT NULL CHECK (length(recipient) = 20),
    asset        BLOB    NOT NULL CHECK (length(asset) = 20),
    version      INTEGER NOT NULL,
    start        INTEGER NOT NULL,
    ttl          INTEGER NOT NULL,
    guarantees   INTEGER NOT NULL,
    next_req     TEXT    NOT NULL,
    total        TEXT    NOT NULL,
    paid         TEXT    NOT NULL,
    remunerated  TEXT    NOT NULL,
    latest       INTEGER NOT NULL,
    closed       INTEGER NOT NULL CHECK (closed IN (0, 1)),
    expired      INTEGER NOT NULL CHECK (expired IN (0, 1)),
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    -- 0 pending, 1 settled, 2 failed, 3 remunerated
    settlement   INTEGER NOT NULL CHECK (settlement BETWEEN 0 AND 3),
    active       INTEGER NOT NULL CHECK (active IN (0, 1)),
    -- `latest`, while its certificates may still be redeemed: null before the first guarantee and once they expired
    ages_from    INTEGER
) STRICT;

-- Of one identity one tab is active.
CREATE UNIQUE INDEX credit_tab_active ON credit_tab (payer, recipient, asset, version) WHERE active = 1;
CREATE INDEX credit_tab_recipient ON credit_tab (recipient, settlement, updated_at);
CREATE INDEX credit_tab_payer ON credit_tab (payer, updated_at);
CREATE INDEX credit_tab_ages ON credit_tab (ages_from) WHERE ages_from IS NOT NULL;

-- What happened on the chain, once for each place. `log` is null for a transaction itself.
CREATE TABLE credit_happening (
    seq              INTEGER PRIMARY KEY,
    block            INTEGER NOT NULL,
    transaction_hash BLOB    NOT NULL CHECK (length(transaction_hash) = 32),
    log              INTEGER
) STRICT;

CREATE UNIQUE INDEX credit_happening_log ON credit_happening (transaction_hash, log) WHERE log IS NOT NULL;
CREATE UNIQUE INDEX credit_happening_transaction ON credit_happening (transaction_hash) WHERE log IS NULL;

-- What happened and does not fit.
CREATE TABLE credit_aside (
    happening INTEGER PRIMARY KEY REFERENCES credit_happening (seq),
    what      TEXT    NOT NULL,
    why       TEXT    NOT NULL,
    at        INTEGER NOT NULL
) STRICT;

-- The journal of collateral. Whose it is, and in which asset, says the tab; without one the row itself. The request of a
-- reservation is that of the guarantee with the same `seq`.
CREATE TABLE credit_entry (
    seq       INTEGER PRIMARY KEY,
    -- 0 deposit, 1 withdraw, 2 reserve, 3 cancel reserve, 4 unlock, 5 remunerate
    kind      INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 5),
    tab       INTEGER REFERENCES credit_tab (seq),
    payer     BLOB    CHECK (length(payer) = 20),
    asset     BLOB    CHECK (length(asset) = 20),
    req       TEXT,
    amount    TEXT    NOT NULL,
    lock      TEXT    NOT NULL,
    happening INTEGER REFERENCES credit_happening (seq),
    at        INTEGER NOT NULL,
    CHECK ((tab IS NULL) = (payer IS NOT NULL) AND (tab IS NULL) = (asset IS NOT NULL))
) STRICT;

CREATE INDEX credit_entry_tab ON credit_entry (tab) WHERE tab IS NOT NULL;
-- An entry is made once: by its guarantee (whose number is taken once), by its place, or by the end of its tab.
CREATE UNIQUE INDEX credit_entry_happening ON credit_entry (happening, kind) WHERE happening IS NOT NULL;
CREATE UNIQUE INDEX credit_entry_cancelled ON credit_entry (tab) WHERE kind = 3;

-- A guarantee: amount and time are those of the entry that reserves it, the rest of its identity is the tab's.
CREATE TABLE credit_guarantee (
    seq       INTEGER PRIMARY KEY REFERENCES credit_entry (seq),
    tab       INTEGER NOT NULL REFERENCES credit_tab (seq),
    req       TEXT    NOT NULL,
    number    INTEGER NOT NULL,
    total     TEXT    NOT NULL,
    timestamp INTEGER NOT NULL,
    request   BLOB    NOT NULL,
    UNIQUE (tab, req)
) STRICT;

CREATE TABLE credit_certificate (
    guarantee INTEGER PRIMARY KEY REFERENCES credit_guarantee (seq),
    claims    BLOB    NOT NULL,
    signature BLOB    NOT NULL
) STRICT;

-- Guarantees that are not signed yet.
CREATE TABLE credit_unsigned (
    guarantee INTEGER PRIMARY KEY REFERENCES credit_guarantee (seq)
) STRICT;

-- Payments for tabs, under the id that the contract records them by, which follows from their place.
CREATE TABLE credit_payment (
    seq              INTEGER PRIMARY KEY,
    record           BLOB    NOT NULL UNIQUE CHECK (length(record) = 32),
    block            INTEGER NOT NULL,
    transaction_hash BLOB    NOT NULL CHECK (length(transaction_hash) = 32),
    log              INTEGER,
    tab              BLOB    NOT NULL CHECK (length(tab) = 32),
    req              TEXT,
    payer            BLOB    NOT NULL CHECK (length(payer) = 20),
    recipient        BLOB    NOT NULL CHECK (length(recipient) = 20),
    asset            BLOB    NOT NULL CHECK (length(asset) = 20),
    amount           TEXT    NOT NULL,
    at               INTEGER NOT NULL,
    -- 0 found, 1 telling, 2 recorded, 3 refused; `teller` is the transaction of telling and recorded
    stage            INTEGER NOT NULL CHECK (stage BETWEEN 0 AND 3),
    teller           BLOB    CHECK (length(teller) = 32),
    CHECK ((stage IN (1, 2)) = (teller IS NOT NULL))
) STRICT;

CREATE INDEX credit_payment_untold ON credit_payment (block, transaction_hash, log) WHERE stage IN (0, 1);
CREATE INDEX credit_payment_recipient ON credit_payment (recipient, block, transaction_hash, log);

CREATE TRIGGER credit_happening_is_not_changed BEFORE UPDATE ON credit_happening
BEGIN SELECT RAISE(ABORT, 'what happened is immutable'); END;
CREATE TRIGGER credit_happening_is_not_removed BEFORE DELETE ON credit_happening
BEGIN SELECT RAISE(ABORT, 'what happened is immutable'); END;
CREATE TRIGGER credit_entry_is_not_changed BEFORE UPDATE ON credit_entry
BEGIN SELECT RAISE(ABORT, 'an entry is immutable'); END;
CREATE TRIGGER credit_entry_is_not_removed BEFORE DELETE ON credit_entry
BEGIN SELECT RAISE(ABORT, 'an entry is immutable'); END;
CREATE TRIGGER credit_guarantee_is_not_changed BEFORE UPDATE ON credit_guarantee
BEGIN SELECT RAISE(ABORT, 'a guarantee is immutable'); END;
CREATE TRIGGER credit_guarantee_is_not_removed BEFORE DELETE ON credit_guarantee
BEGIN SELECT RAISE(ABORT, 'a guarantee is immutable'); END;
CREATE TRIGGER credit_certificate_is_not_changed BEFORE UPDATE ON credit_certificate
BEGIN SELECT RAISE(ABORT, 'a certificate is immutable'); END;
CREATE TRIGGER credit_certificate_is_not_removed BEFORE DELETE ON credit_certificate
BEGIN SELECT RAISE(ABORT, 'a certificate is immutable'); END;

-- For people.
CREATE VIEW credit_tabs AS
SELECT '0x' || lower(hex(id)) AS id, '0x' || lower(hex(payer)) AS payer, '0x' || lower(hex(recipient)) AS recipient,
       '0x' || lower(hex(asset)) AS asset, version, guarantees, total, paid, remunerated,
       CASE settlement WHEN 0 THEN 'pending' WHEN 1 THEN 'settled' WHEN 2 THEN 'failed' ELSE 'remunerated' END AS settlement,
       closed, expired, datetime(updated_at, 'unixepoch') AS changed
FROM credit_tab;
