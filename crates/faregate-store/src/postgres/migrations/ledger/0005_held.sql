-- Certificates that a seller holds, and the tabs they are on. Ids and hashes are 32 bytes, addresses 20; the zero address is ETH.
--
-- Whoever writes anything of a tab locks its row first; tabs are locked in the order of chain, payer, recipient and tab.

-- `total` is the largest of its certificates, which is `latest` and was promised at `promised_at`. `paid` by the payer and
-- `redeemed` out of collateral are what the contract was last seen to say, deep enough; `over` when it pays nothing more. What is
-- covered or over has ended; the column is here because it is looked for.
CREATE TABLE held_tab (
    payer             BYTEA          NOT NULL CHECK (length(payer) = 20),
    tab               BYTEA          NOT NULL CHECK (length(tab) = 32),
    recipient         BYTEA          NOT NULL CHECK (length(recipient) = 20),
    chain             BIGINT         NOT NULL,
    seq               BIGINT         NOT NULL,
    asset             BYTEA          NOT NULL CHECK (length(asset) = 20),
    version           BIGINT         NOT NULL,
    certificates      BIGINT         NOT NULL,
    total             NUMERIC(78, 0) NOT NULL CHECK (total >= 0),
    latest            BYTEA          NOT NULL CHECK (length(latest) = 32),
    promised_at       BIGINT         NOT NULL,
    first_promised_at BIGINT         NOT NULL,
    paid              NUMERIC(78, 0) NOT NULL CHECK (paid >= 0),
    redeemed          NUMERIC(78, 0) NOT NULL CHECK (redeemed >= 0),
    over              BOOLEAN        NOT NULL,
    ended             BOOLEAN        NOT NULL,
    changed_at        BIGINT         NOT NULL,
    PRIMARY KEY (payer, tab, recipient, chain)
) WITH (fillfactor = 50);

CREATE UNIQUE INDEX held_tab_seq ON held_tab (seq);
CREATE INDEX held_tab_open ON held_tab (chain, promised_at, payer, recipient, tab) WHERE NOT ended;
CREATE INDEX held_tab_owed ON held_tab (payer, asset, chain) WHERE NOT ended;

-- `tab` is the `seq` of its tab. Never changed, never removed.
CREATE TABLE held_certificate (
    payment     BYTEA          NOT NULL PRIMARY KEY CHECK (length(payment) = 32),
    tab         BIGINT         NOT NULL,
    req         NUMERIC(78, 0) NOT NULL CHECK (req >= 0),
    route       TEXT           NOT NULL,
    version     BIGINT         NOT NULL,
    amount      NUMERIC(78, 0) NOT NULL CHECK (amount >= 0),
    total       NUMERIC(78, 0) NOT NULL CHECK (total >= 0),
    promised_at BIGINT         NOT NULL,
    claims      BYTEA          NOT NULL,
    signature   BYTEA          NOT NULL CHECK (length(signature) = 96),
    at          BIGINT         NOT NULL
);

CREATE UNIQUE INDEX held_certificate_number ON held_certificate (tab, req);

-- What a route sold on a tab: the sum of its certificates there.
CREATE TABLE held_route (
    tab    BIGINT         NOT NULL,
    route  TEXT           NOT NULL,
    amount NUMERIC(80, 0) NOT NULL CHECK (amount >= 0),
    PRIMARY KEY (tab, route)
) WITH (fillfactor = 50);

-- Transactions that redeem a certificate, before they are sent. `outcome` is null as long as nobody knows their end:
-- 1 mined, 2 mined and refused, 3 given up.
CREATE TABLE held_redemption (
    tab              BIGINT   NOT NULL,
    seq              BIGINT   NOT NULL,
    transaction_hash BYTEA    NOT NULL CHECK (length(transaction_hash) = 32),
    at               BIGINT   NOT NULL,
    outcome          SMALLINT CHECK (outcome BETWEEN 1 AND 3),
    PRIMARY KEY (tab, transaction_hash)
);
