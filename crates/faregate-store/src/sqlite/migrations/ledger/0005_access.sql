-- Who may call the credit service. Hashes only: whoever reads this file cannot sign in with it.

-- Sign-in nonces that were used, until they would be refused anyway.
CREATE TABLE used_nonce (
    nonce BLOB    PRIMARY KEY CHECK (length(nonce) = 32),
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX used_nonce_until ON used_nonce (until);

-- One row for each session, with the one refresh token that is good.
CREATE TABLE session (
    seq        INTEGER PRIMARY KEY,
    family     BLOB    NOT NULL UNIQUE CHECK (length(family) = 32),
    token      BLOB    NOT NULL CHECK (length(token) = 32),
    address    BLOB    NOT NULL CHECK (length(address) = 20),
    changed_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX session_address ON session (address, changed_at, seq);
CREATE INDEX session_changed ON session (changed_at, seq);
CREATE INDEX session_expires ON session (expires_at);

CREATE TABLE admin_key (
    seq        INTEGER PRIMARY KEY,
    id         BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
    name       TEXT    NOT NULL,
    scopes     INTEGER NOT NULL,
    secret     BLOB    NOT NULL CHECK (length(secret) = 32),
    bootstrap  INTEGER NOT NULL CHECK (bootstrap IN (0, 1)),
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT;
