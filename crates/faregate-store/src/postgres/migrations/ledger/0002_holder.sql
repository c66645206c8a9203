-- Which process works on this ledger, where only one may. `seen_at` is in milliseconds of the server's clock since 1970; `gate`
-- is what a gate over this ledger is called among others, and stays when another process takes its place.
CREATE TABLE holder (
    name    TEXT   NOT NULL PRIMARY KEY,
    gate    BYTEA  NOT NULL CHECK (length(gate) = 16),
    run     BYTEA  NOT NULL CHECK (length(run) = 16),
    seen_at BIGINT NOT NULL
);
