-- Who may call the credit service. Hashes only: whoever reads this database cannot sign in with it.

-- Whoever writes any of this locks this row first: what is counted below stays as it was counted.
CREATE TABLE access_turn (
    name TEXT NOT NULL PRIMARY KEY
);

INSERT INTO access_turn (name) VALUES ('access');

-- Sign-in nonces that were used, until they would be refused anyway.
CREATE TABLE used_nonce (
    nonce BYTEA  NOT NULL PRIMARY KEY CHECK (length(nonce) = 32),
    until BIGINT NOT NULL
);

CREATE INDEX used_nonce_until ON used_nonce (until);

-- One row for each session, with the one refresh token that is good.
CREATE TABLE session (
    family     BYTEA  NOT NULL PRIMARY KEY CHECK (length(family) = 32),
    seq        BIGINT NOT NULL,
    token      BYTEA  NOT NULL CHECK (length(token) = 32),
    address    BYTEA  NOT NULL CHECK (length(address) = 20),
    changed_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE INDEX session_address ON session (address, changed_at, seq);
CREATE INDEX session_changed ON session (changed_at, seq);
CREATE INDEX session_expires ON session (expires_at);

CREATE TABLE admin_key (
    id         BYTEA   NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    seq        BIGINT  NOT NULL,
    name       TEXT    NOT NULL,
    scopes     BIGINT  NOT NULL,
    secret     BYTEA   NOT NULL CHECK (length(secret) = 32),
    bootstrap  BOOLEAN NOT NULL,
    created_at BIGINT  NOT NULL,
    revoked_at BIGINT
);
