-- An orphan's money is returned once, and no later payment or refund meets it.

ALTER TABLE orphans ADD COLUMN refund_claimed_at timestamptz(3);
COMMENT ON COLUMN orphans.refund_claimed_at IS
  'Since then a person returns its money, so no payment may meet it. Null: nobody does.';

ALTER TABLE orphans DROP CONSTRAINT orphans_resolution_is_known;
ALTER TABLE orphans ADD CONSTRAINT orphans_resolution_is_known
  CHECK (resolution IN ('adopted', 'refunded', 'cancelled', 'dismissed'));
COMMENT ON CONSTRAINT orphans_resolution_is_known ON orphans IS
  'A person entered it into the books, returned its money, cancelled its intent, or dismissed it.';

-- A refund whose id is not known is known by its name: several can belong to one intent.
DROP INDEX orphans_one_each;
CREATE UNIQUE INDEX orphans_one_each ON orphans
  (kind, COALESCE(gateway_refund_id, CASE kind WHEN 'refund' THEN gateway_key ELSE gateway_intent_id END, gateway_key))
  WHERE resolved_at IS NULL;
COMMENT ON INDEX orphans_one_each IS 'The same news, however often it comes, makes one orphan.';

-- A resolved orphan still says which names must not be used again.
DROP INDEX orphans_open_by_order;
DROP INDEX orphans_open_by_reference;
CREATE INDEX orphans_by_order ON orphans (order_id);
CREATE INDEX orphans_by_reference ON orphans (order_reference);
CREATE INDEX orphans_by_account ON orphans (account_id);
COMMENT ON INDEX orphans_by_order IS 'Finds what blocks an order, and the names that it must not use again.';
COMMENT ON INDEX orphans_by_reference IS 'The same for an order that was lost and made again.';
COMMENT ON INDEX orphans_by_account IS 'A checkout asks for orphans only where its account has any.';
