-- Sums are kept for each unit: `usd` for all tokens, in units of 10^-18 dollars, and the name of the asset for millisatoshis.
-- Everything before was in dollars.
CREATE TABLE signed_for_origin_new (
    origin TEXT NOT NULL,
    unit   TEXT NOT NULL,
    worth  TEXT NOT NULL,
    PRIMARY KEY (origin, unit)
) STRICT, WITHOUT ROWID;
INSERT INTO signed_for_origin_new SELECT origin, 'usd', worth FROM signed_for_origin;
DROP TABLE signed_for_origin;
ALTER TABLE signed_for_origin_new RENAME TO signed_for_origin;

CREATE TABLE signed_in_slot_new (
    unit  TEXT    NOT NULL,
    level INTEGER NOT NULL,
    slot  INTEGER NOT NULL,
    worth TEXT    NOT NULL,
    PRIMARY KEY (unit, level, slot)
) STRICT, WITHOUT ROWID;
INSERT INTO signed_in_slot_new SELECT 'usd', level, slot, worth FROM signed_in_slot;
DROP TABLE signed_in_slot;
ALTER TABLE signed_in_slot_new RENAME TO signed_in_slot;
