-- Commits can be lost: by an asynchronous standby that is promoted, by a restore, by synchronous_commit = off.

-- 1. A repeated step has the same name at the gateway, because the name comes from the request. Rows of the version
-- before have no such name: their open payments and refunds keep their own ids as keys.
ALTER TABLE holds ADD COLUMN gateway_reference text;
ALTER TABLE subscriptions ADD COLUMN gateway_reference text;
COMMENT ON COLUMN orders.gateway_reference IS
  'The order''s name at the gateway, from the key and the account that asked for it. Null: its id.';
COMMENT ON COLUMN holds.gateway_reference IS 'The references of its checkouts'' orders come from it. Null: its id.';
COMMENT ON COLUMN subscriptions.gateway_reference IS
  'The references of its invoices'' orders come from it. Null: its id.';
COMMENT ON COLUMN payments.gateway_key IS
  'The payment''s name at the gateway and the first part of its keys: from the order''s reference and the payment''s '
  'number. Null: the id of the payment.';
COMMENT ON COLUMN refunds.gateway_key IS
  'The refund''s name at the gateway and the first part of its key: from its payment''s name and its number. Null: the '
  'id of the refund.';
CREATE UNIQUE INDEX orders_gateway_reference_key ON orders (gateway_reference);
CREATE UNIQUE INDEX holds_gateway_reference_key ON holds (gateway_reference);
CREATE UNIQUE INDEX subscriptions_gateway_reference_key ON subscriptions (gateway_reference);
COMMENT ON INDEX orders_gateway_reference_key IS
  'One use of a creation key makes one order, and a gateway''s event finds it.';
COMMENT ON INDEX holds_gateway_reference_key IS 'One use of a creation key makes one hold.';
COMMENT ON INDEX subscriptions_gateway_reference_key IS 'One use of a creation key makes one subscription.';

-- 2. Payments and refunds that the gateway has and our books do not.
CREATE TABLE orphans (
  id uuid NOT NULL,
  kind text NOT NULL,
  account_id uuid,
  order_id uuid,
  order_reference text,
  gateway_key text,
  gateway_intent_id text,
  gateway_refund_id text,
  amount_minor integer,
  currency character(3),
  key_known_until timestamp(3) with time zone,
  seen text NOT NULL,
  why text NOT NULL,
  found_by text NOT NULL,
  found_at timestamp(3) with time zone NOT NULL DEFAULT clock_timestamp(),
  resolved_at timestamp(3) with time zone,
  resolution text,
  resolved_by text,
  resolution_reason text,
  CONSTRAINT orphans_pkey PRIMARY KEY (id),
  CONSTRAINT orphans_kind_is_known CHECK (kind IN ('payment', 'refund')),
  CONSTRAINT orphans_is_named CHECK (COALESCE(gateway_refund_id, gateway_intent_id, gateway_key) IS NOT NULL),
  CONSTRAINT orphans_resolution_is_known CHECK (resolution IN ('adopted', 'refunded', 'dismissed')),
  CONSTRAINT orphans_resolved_as_a_whole CHECK (
    (resolved_at IS NULL) = (resolution IS NULL) AND (resolved_at IS NULL) = (resolved_by IS NULL)
    AND (resolved_at IS NULL) = (resolution_reason IS NULL))
);
COMMENT ON TABLE orphans IS
  'Payments and refunds at the gateway that our books do not have, because commits were lost. An open one blocks new '
  'payments and refunds of its order.';
COMMENT ON COLUMN orphans.order_id IS 'Our order, where it is there. Not a foreign key: it may be lost as well.';
COMMENT ON COLUMN orphans.order_reference IS 'The order as the gateway names it.';
COMMENT ON COLUMN orphans.gateway_key IS 'The payment or refund as the gateway names it.';
COMMENT ON COLUMN orphans.key_known_until IS
  'Until then the gateway shows this very payment to a creation with its name, so that a repetition meets it.';
COMMENT ON COLUMN orphans.seen IS 'The state that the gateway showed.';
COMMENT ON COLUMN orphans.why IS 'Why it could not be entered into the books.';
COMMENT ON COLUMN orphans.resolved_by IS 'The person who decided.';
COMMENT ON CONSTRAINT orphans_pkey ON orphans IS 'A person names an orphan by its id.';
COMMENT ON CONSTRAINT orphans_kind_is_known ON orphans IS 'Money that was taken, or money that was returned.';
COMMENT ON CONSTRAINT orphans_is_named ON orphans IS 'An orphan can be found at the gateway.';
COMMENT ON CONSTRAINT orphans_resolution_is_known ON orphans IS
  'A person entered it into the books, returned its money, or dismissed it.';
COMMENT ON CONSTRAINT orphans_resolved_as_a_whole ON orphans IS 'Each resolution has a time, a name and a reason.';
CREATE UNIQUE INDEX orphans_one_each ON orphans (COALESCE(gateway_refund_id, gateway_intent_id, gateway_key));
COMMENT ON INDEX orphans_one_each IS 'The same news, however often it comes, makes one orphan.';
CREATE INDEX orphans_open_by_order ON orphans (order_id) WHERE resolved_at IS NULL;
CREATE INDEX orphans_open_by_reference ON orphans (order_reference) WHERE resolved_at IS NULL;
COMMENT ON INDEX orphans_open_by_order IS 'Finds what blocks an order.';
COMMENT ON INDEX orphans_open_by_reference IS 'Finds what blocks an order that was lost and made again.';
