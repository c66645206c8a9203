-- Transactions whose end is looked for, however many there were.
CREATE INDEX held_redemption_open ON held_redemption (seq) WHERE outcome IS NULL;
