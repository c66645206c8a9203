-- The books of a credit core: tabs, guarantees, what the chain said. Ids and hashes are 32 bytes, addresses 20; the zero address is
-- ETH. The money itself is in `balance`: each line of the journal moves it there in the same transaction, and
-- `PostgresLedger::audit` recomputes it.
--
-- Rows are locked by everybody in this order: credit_core, credit_payment, credit_tab, balance, each by its key. What else is
-- written belongs to a row that is locked: everything of a tab to the tab, a payer's credit_collateral to its balance. `seq` grows
-- within a tab, whoever writes.

-- Whose books these are, and up to where its chain was read (null before the first block). `happened` counts credit_happening.
CREATE TABLE credit_core (
    id         SMALLINT NOT NULL PRIMARY KEY CHECK (id = 1),
    chain      TEXT     NOT NULL,
    block      BIGINT,
    block_hash BYTEA    CHECK (length(block_hash) = 32),
    block_time BIGINT,
    happened   BIGINT   NOT NULL,
    CHECK ((block IS NULL) = (block_hash IS NULL) AND (block IS NULL) = (block_time IS NULL))
);

CREATE TABLE credit_account (
    address    BYTEA   NOT NULL PRIMARY KEY CHECK (length(address) = 20),
    suspended  BOOLEAN NOT NULL,
    updated_at BIGINT  NOT NULL
);

-- What `balance` does not know of a payer's collateral. There is a row as soon as anything happened to it.
CREATE TABLE credit_collateral (
    payer       BYTEA          NOT NULL CHECK (length(payer) = 20),
    asset       BYTEA          NOT NULL CHECK (length(asset) = 20),
    withdrawing NUMERIC(78, 0) NOT NULL CHECK (withdrawing >= 0),
    version     BIGINT         NOT NULL,
    updated_at  BIGINT         NOT NULL,
    PRIMARY KEY (payer, asset)
) WITH (fillfactor = 50);

-- `seq` is that of the last line of its journal. The last three columns follow from the others; they are here because they are
-- looked for.
CREATE TABLE credit_tab (
    id          BYTEA          NOT NULL PRIMARY KEY CHECK (length(id) = 32),
    payer       BYTEA          NOT NULL CHECK (length(payer) = 20),
    recipient   BYTEA          NOT NULL CHECK (length(recipient) = 20),
    asset       BYTEA          NOT NULL CHECK (length(asset) = 20),
    version     BIGINT         NOT NULL,
    start       BIGINT         NOT NULL,
    ttl         BIGINT         NOT NULL,
    guarantees  BIGINT         NOT NULL,
    next_req    NUMERIC(78, 0) NOT NULL,
    total       NUMERIC(78, 0) NOT NULL CHECK (total >= 0),
    paid        NUMERIC(78, 0) NOT NULL CHECK (paid >= 0),
    remunerated NUMERIC(78, 0) NOT NULL CHECK (remunerated >= 0),
    latest      BIGINT         NOT NULL,
    closed      BOOLEAN        NOT NULL,
    expired     BOOLEAN        NOT NULL,
    created_at  BIGINT         NOT NULL,
    updated_at  BIGINT         NOT NULL,
    seq         BIGINT         NOT NULL,
    -- 0 pending, 1 settled, 2 failed, 3 remunerated
    settlement  SMALLINT       NOT NULL CHECK (settlement BETWEEN 0 AND 3),
    active      BOOLEAN        NOT NULL,
    -- `latest`, while its certificates may still be redeemed: null before the first guarantee and once they expired
    ages_from   BIGINT
) WITH (fillfactor = 50);

-- Of one identity one tab is active.
CREATE UNIQUE INDEX credit_tab_active ON credit_tab (payer, recipient, asset, version) WHERE active;
CREATE INDEX credit_tab_recipient ON credit_tab (recipient, settlement, updated_at, id);
-- Whether a payer ever had a tab for a recipient, however many either of them has.
CREATE INDEX credit_tab_pair ON credit_tab (payer, recipient);
CREATE INDEX credit_tab_payer ON credit_tab (payer, updated_at, id);
CREATE INDEX credit_tab_ages ON credit_tab (ages_from, id) WHERE ages_from IS NOT NULL;

-- What happened on the chain, once for each place. `record` names the place: the transaction's hash, or one made of it and the log.
-- `log` is null for a transaction itself. Never changed, never removed.
CREATE TABLE credit_happening (
    record           BYTEA  NOT NULL PRIMARY KEY CHECK (length(record) = 32),
    block            BIGINT NOT NULL,
    transaction_hash BYTEA  NOT NULL CHECK (length(transaction_hash) = 32),
    log              BIGINT
);

-- What happened and does not fit. `number` is which happening it was.
CREATE TABLE credit_aside (
    number    BIGINT NOT NULL PRIMARY KEY,
    happening BYTEA  NOT NULL,
    what      TEXT   NOT NULL,
    why       TEXT   NOT NULL,
    at        BIGINT NOT NULL
);

-- Collateral that came or went without a tab, by the place where that happened. Never changed, never removed.
CREATE TABLE credit_funding (
    happening BYTEA          NOT NULL PRIMARY KEY,
    -- 0 deposit, 1 withdraw
    kind      SMALLINT       NOT NULL CHECK (kind BETWEEN 0 AND 1),
    payer     BYTEA          NOT NULL CHECK (length(payer) = 20),
    asset     BYTEA          NOT NULL CHECK (length(asset) = 20),
    amount    NUMERIC(78, 0) NOT NULL CHECK (amount >= 0),
    at        BIGINT         NOT NULL
);

-- The journal of a tab, but for its reservations, which are its guarantees. Never changed, never removed.
CREATE TABLE credit_entry (
    tab       BYTEA          NOT NULL CHECK (length(tab) = 32),
    seq       BIGINT         NOT NULL,
    -- 3 cancel reserve, 4 unlock, 5 remunerate
    kind      SMALLINT       NOT NULL CHECK (kind BETWEEN 3 AND 5),
    req       NUMERIC(78, 0),
    amount    NUMERIC(78, 0) NOT NULL CHECK (amount >= 0),
    lock      NUMERIC(78, 0) NOT NULL CHECK (lock >= 0),
    happening BYTEA,
    at        BIGINT         NOT NULL,
    PRIMARY KEY (tab, seq),
    CHECK ((kind = 3) = (happening IS NULL))
);

-- A line is made once: by its place, or by the end of its tab.
CREATE UNIQUE INDEX credit_entry_happening ON credit_entry (happening, kind) WHERE happening IS NOT NULL;
CREATE UNIQUE INDEX credit_entry_cancelled ON credit_entry (tab) WHERE kind = 3;

-- A guarantee, and the line of the journal that reserves it. The rest of its identity is the tab's. Never changed, never removed.
CREATE TABLE credit_guarantee (
    tab        BYTEA          NOT NULL CHECK (length(tab) = 32),
    req        NUMERIC(78, 0) NOT NULL CHECK (req >= 0),
    seq        BIGINT         NOT NULL,
    number     BIGINT         NOT NULL,
    amount     NUMERIC(78, 0) NOT NULL CHECK (amount >= 0),
    lock       NUMERIC(78, 0) NOT NULL CHECK (lock >= 0),
    total      NUMERIC(78, 0) NOT NULL CHECK (total >= 0),
    timestamp  BIGINT         NOT NULL,
    request    BYTEA          NOT NULL,
    created_at BIGINT         NOT NULL,
    PRIMARY KEY (tab, req)
);

CREATE UNIQUE INDEX credit_guarantee_seq ON credit_guarantee (tab, seq);

-- Never changed, never removed.
CREATE TABLE credit_certificate (
    tab       BYTEA          NOT NULL,
    req       NUMERIC(78, 0) NOT NULL,
    claims    BYTEA          NOT NULL,
    signature BYTEA          NOT NULL,
    PRIMARY KEY (tab, req)
);

-- Guarantees that are not signed yet.
CREATE TABLE credit_unsigned (
    seq BIGINT         NOT NULL,
    tab BYTEA          NOT NULL,
    req NUMERIC(78, 0) NOT NULL,
    PRIMARY KEY (seq, tab)
);

-- Payments for tabs, under the id that the contract records them by, which follows from their place.
CREATE TABLE credit_payment (
    record           BYTEA          NOT NULL PRIMARY KEY CHECK (length(record) = 32),
    block            BIGINT         NOT NULL,
    transaction_hash BYTEA          NOT NULL CHECK (length(transaction_hash) = 32),
    log              BIGINT,
    tab              BYTEA          NOT NULL CHECK (length(tab) = 32),
    req              NUMERIC(78, 0),
    payer            BYTEA          NOT NULL CHECK (length(payer) = 20),
    recipient        BYTEA          NOT NULL CHECK (length(recipient) = 20),
    asset            BYTEA          NOT NULL CHECK (length(asset) = 20),
    amount           NUMERIC(78, 0) NOT NULL CHECK (amount >= 0),
    at               BIGINT         NOT NULL,
    -- 0 found, 1 telling, 2 recorded, 3 refused; `teller` is the transaction of telling and recorded
    stage            SMALLINT       NOT NULL CHECK (stage BETWEEN 0 AND 3),
    teller           BYTEA          CHECK (length(teller) = 32),
    CHECK ((stage IN (1, 2)) = (teller IS NOT NULL))
);

CREATE INDEX credit_payment_untold ON credit_payment (block, transaction_hash, log NULLS FIRST) WHERE stage IN (0, 1);
CREATE INDEX credit_payment_recipient ON credit_payment (recipient, block, transaction_hash, log NULLS FIRST);

-- The journal of all tabs. Kind 2 reserves.
CREATE VIEW credit_journal AS
SELECT tab, seq, 2::smallint AS kind, req, amount, lock, NULL::bytea AS happening, created_at AS at FROM credit_guarantee
UNION ALL
SELECT tab, seq, kind, req, amount, lock, happening, at FROM credit_entry;

-- For people.
CREATE VIEW credit_tabs AS
SELECT '0x' || encode(id, 'hex') AS id, '0x' || encode(payer, 'hex') AS payer, '0x' || encode(recipient, 'hex') AS recipient,
       '0x' || encode(asset, 'hex') AS asset, version, guarantees, total, paid, remunerated,
       CASE settlement WHEN 0 THEN 'pending' WHEN 1 THEN 'settled' WHEN 2 THEN 'failed' ELSE 'remunerated' END AS settlement,
       closed, expired, to_timestamp(updated_at) AS changed
FROM credit_tab;
