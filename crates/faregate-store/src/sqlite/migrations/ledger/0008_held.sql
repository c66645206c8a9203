-- Certificates that a seller holds, and the tabs they are on. Amounts and numbers of requests are decimal text, ids and hashes
-- 32 bytes, addresses 20; the zero address is ETH.

-- `total` is the largest of its certificates, which is `latest` and was promised at `promised_at`. `paid` by the payer and
-- `redeemed` out of collateral are what the contract was last seen to say, deep enough; `over` when it pays nothing more. What is
-- covered or over has ended; the column is here because it is looked for.
CREATE TABLE held_tab (
    seq               INTEGER PRIMARY KEY,
    chain             INTEGER NOT NULL,
    payer             BLOB    NOT NULL CHECK (length(payer) = 20),
    recipient         BLOB    NOT NULL CHECK (length(recipient) = 20),
    tab               BLOB    NOT NULL CHECK (length(tab) = 32),
    asset             BLOB    NOT NULL CHECK (length(asset) = 20),
    version           INTEGER NOT NULL,
    certificates      INTEGER NOT NULL,
    total             TEXT    NOT NULL,
    latest            INTEGER NOT NULL,
    promised_at       INTEGER NOT NULL,
    first_promised_at INTEGER NOT NULL,
    paid              TEXT    NOT NULL,
    redeemed          TEXT    NOT NULL,
    over              INTEGER NOT NULL CHECK (over IN (0, 1)),
    ended             INTEGER NOT NULL CHECK (ended IN (0, 1)),
    changed_at        INTEGER NOT NULL,
    UNIQUE (payer, tab, recipient, chain)
) STRICT;

CREATE INDEX held_tab_open ON held_tab (chain, promised_at, payer, recipient, tab) WHERE ended = 0;
CREATE INDEX held_tab_owed ON held_tab (payer, asset, chain) WHERE ended = 0;

CREATE TABLE held_certificate (
    seq         INTEGER PRIMARY KEY,
    payment     BLOB    NOT NULL UNIQUE CHECK (length(payment) = 32),
    tab         INTEGER NOT NULL REFERENCES held_tab (seq),
    req         TEXT    NOT NULL,
    route       TEXT    NOT NULL,
    version     INTEGER NOT NULL,
    amount      TEXT    NOT NULL,
    total       TEXT    NOT NULL,
    promised_at INTEGER NOT NULL,
    claims      BLOB    NOT NULL,
    signature   BLOB    NOT NULL CHECK (length(signature) = 96),
    at          INTEGER NOT NULL,
    UNIQUE (tab, req)
) STRICT;

-- What a route sold on a tab: the sum of its certificates there.
CREATE TABLE held_route (
    tab    INTEGER NOT NULL REFERENCES held_tab (seq),
    route  TEXT    NOT NULL,
    amount TEXT    NOT NULL,
    PRIMARY KEY (tab, route)
) STRICT, WITHOUT ROWID;

-- Transactions that redeem a certificate, before they are sent. `outcome` is null as long as nobody knows their end:
-- 1 mined, 2 mined and refused, 3 given up.
CREATE TABLE held_redemption (
    seq              INTEGER PRIMARY KEY,
    tab              INTEGER NOT NULL REFERENCES held_tab (seq),
    transaction_hash BLOB    NOT NULL CHECK (length(transaction_hash) = 32),
    at               INTEGER NOT NULL,
    outcome          INTEGER CHECK (outcome BETWEEN 1 AND 3),
    UNIQUE (tab, transaction_hash)
) STRICT;

CREATE TRIGGER held_certificate_is_not_changed BEFORE UPDATE ON held_certificate
BEGIN SELECT RAISE(ABORT, 'a certificate is immutable'); END;
CREATE TRIGGER held_certificate_is_not_removed BEFORE DELETE ON held_certificate
BEGIN SELECT RAISE(ABORT, 'a certificate is immutable'); END;
CREATE TRIGGER held_tab_is_not_removed BEFORE DELETE ON held_tab
BEGIN SELECT RAISE(ABORT, 'a tab is not forgotten'); END;
CREATE TRIGGER held_redemption_is_not_removed BEFORE DELETE ON held_redemption
BEGIN SELECT RAISE(ABORT, 'what was sent is not forgotten'); END;

-- For people.
CREATE VIEW held_tabs AS
SELECT chain, '0x' || lower(hex(tab)) AS tab, '0x' || lower(hex(payer)) AS payer, '0x' || lower(hex(recipient)) AS recipient,
       '0x' || lower(hex(asset)) AS asset, version, certificates, total, paid, redeemed,
       CASE WHEN ended = 0 THEN 'open' WHEN over = 1 THEN 'over' ELSE 'covered' END AS standing,
       datetime(promised_at, 'unixepoch') AS promised, datetime(changed_at, 'unixepoch') AS changed
FROM held_tab;
