-- Whether a payer ever had a tab for a recipient, however many either of them has.
CREATE INDEX credit_tab_pair ON credit_tab (payer, recipient);
