-- What others are still to be told. A row is written with what it is about and removed when it was told.
CREATE TABLE event (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    kind     TEXT    NOT NULL,
    payment  BLOB    NOT NULL REFERENCES payment (id),
    at       INTEGER NOT NULL,
    tries    INTEGER NOT NULL DEFAULT 0,
    due_at   INTEGER NOT NULL
) STRICT;

CREATE INDEX event_due ON event (due_at, seq);
