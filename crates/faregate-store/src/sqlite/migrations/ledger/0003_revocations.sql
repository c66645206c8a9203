-- Tokens that open nothing any more: payment hashes and token ids. Never changed, never removed.
CREATE TABLE revocation (
    seq        INTEGER PRIMARY KEY,
    name       BLOB    NOT NULL UNIQUE CHECK (length(name) = 32),
    revoked_at INTEGER NOT NULL
) STRICT;

CREATE TRIGGER revocation_is_not_changed BEFORE UPDATE ON revocation
BEGIN SELECT RAISE(ABORT, 'what is revoked stays revoked'); END;
CREATE TRIGGER revocation_is_not_removed BEFORE DELETE ON revocation
BEGIN SELECT RAISE(ABORT, 'what is revoked stays revoked'); END;
