-- A subscription's policy decides about missed periods, and about invoices that cannot be collected for now.

-- Subscriptions that exist keep what their customers could expect after a reactivation: missed periods are not charged.
ALTER TABLE subscriptions
  ADD COLUMN missed_periods text NOT NULL DEFAULT 'skip',
  ADD CONSTRAINT subscriptions_missed_periods_is_known CHECK (missed_periods IN ('skip', 'collect'));
COMMENT ON COLUMN subscriptions.missed_periods IS
  'Whether periods that were not charged when they fell due, after an outage or while it was past due, are charged '
  'later.';
COMMENT ON CONSTRAINT subscriptions_missed_periods_is_known ON subscriptions IS
  'Missed periods are skipped, or collected one a day.';

ALTER TABLE invoices
  ADD COLUMN refusals integer NOT NULL DEFAULT 0,
  ADD CONSTRAINT invoices_refusals_are_bounded CHECK (refusals BETWEEN 0 AND 6),
  ALTER COLUMN next_try_at DROP NOT NULL;
COMMENT ON COLUMN invoices.refusals IS
  'Tries that came to nothing without a bank''s word on the card. They space the next tries.';
COMMENT ON COLUMN invoices.next_try_at IS
  'The billing run tries then. Null: no run tries any more, and the merchant must ask for it.';
COMMENT ON CONSTRAINT invoices_refusals_are_bounded ON invoices IS
  'What the gateway refuses again and again is not retried for ever.';
