-- The currencies with long amounts, IDR, COP and INR, get nine digits. The rules of each currency stand in
-- packages/domain/src/money.ts; the tables hold the widest bound. Two amounts of nine digits fit into an integer.

ALTER TABLE orders DROP CONSTRAINT orders_amount_is_chargeable,
  ADD CONSTRAINT orders_amount_is_chargeable CHECK (amount_minor BETWEEN 1 AND 999999999);
COMMENT ON CONSTRAINT orders_amount_is_chargeable ON orders IS
  'An order is for a positive amount that the gateway takes in one charge.';

ALTER TABLE payments DROP CONSTRAINT payments_amount_is_chargeable,
  ADD CONSTRAINT payments_amount_is_chargeable CHECK (amount_minor BETWEEN 1 AND 999999999);
COMMENT ON CONSTRAINT payments_amount_is_chargeable ON payments IS
  'A payment takes a positive amount that fits into one charge.';

ALTER TABLE refunds DROP CONSTRAINT refunds_amount_is_positive,
  ADD CONSTRAINT refunds_amount_is_positive CHECK (amount_minor BETWEEN 1 AND 999999999);
COMMENT ON CONSTRAINT refunds_amount_is_positive ON refunds IS 'A refund returns a positive amount.';

ALTER TABLE subscriptions DROP CONSTRAINT subscriptions_amount_is_chargeable,
  ADD CONSTRAINT subscriptions_amount_is_chargeable CHECK (amount_minor BETWEEN 1 AND 999999999);
COMMENT ON CONSTRAINT subscriptions_amount_is_chargeable ON subscriptions IS
  'A period costs a positive amount that the gateway takes in one charge.';

ALTER TABLE holds DROP CONSTRAINT holds_amount_is_chargeable,
  ADD CONSTRAINT holds_amount_is_chargeable CHECK (amount_minor BETWEEN 1 AND 999999999);
COMMENT ON CONSTRAINT holds_amount_is_chargeable ON holds IS 'What is held can be paid with one charge.';

ALTER TABLE event_sections DROP CONSTRAINT event_sections_price_is_chargeable,
  ADD CONSTRAINT event_sections_price_is_chargeable CHECK (price_minor BETWEEN 1 AND 99999999);
COMMENT ON CONSTRAINT event_sections_price_is_chargeable ON event_sections IS
  'Ten seats at the highest price fit into one charge.';

ALTER TABLE tiers DROP CONSTRAINT tiers_price_is_chargeable,
  ADD CONSTRAINT tiers_price_is_chargeable CHECK (price_minor BETWEEN 1 AND 99999999);
COMMENT ON CONSTRAINT tiers_price_is_chargeable ON tiers IS 'Ten places at the highest price fit into one charge.';
