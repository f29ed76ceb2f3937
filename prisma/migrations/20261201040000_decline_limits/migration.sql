-- The limits on declines count those of one customer, or account, within a window.
ALTER TABLE payments ADD COLUMN customer_id text;
COMMENT ON COLUMN payments.customer_id IS
  'The customer of the order, who named the card. Null: a charge without the customer, or one of an earlier version.';

CREATE INDEX payments_declines_of_customer ON payments (account_id, customer_id, settled_at)
  WHERE customer_id IS NOT NULL AND state = 'declined' AND declined_by = 'bank';
COMMENT ON INDEX payments_declines_of_customer IS 'Counts the cards of one customer that were declined lately.';
CREATE INDEX payments_declines_of_account ON payments (account_id, settled_at)
  WHERE customer_id IS NOT NULL AND state = 'declined' AND declined_by = 'bank';
COMMENT ON INDEX payments_declines_of_account IS 'Counts the cards at one account that were declined lately.';
