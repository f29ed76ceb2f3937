-- Reconciliation reads payments and refunds along their primary key, whose ids begin with a time. The few that were
-- settled long after they were made lie outside of that range, and are read by these indexes instead.
CREATE INDEX payments_settled_late ON payments (settled_at) WHERE settled_at - created_at > interval '7 days';
COMMENT ON INDEX payments_settled_late IS
  'Finds the few payments whose id is too old for the window of a reconciliation in which they were settled.';
CREATE INDEX refunds_settled_late ON refunds (settled_at) WHERE settled_at - created_at > interval '7 days';
COMMENT ON INDEX refunds_settled_late IS
  'Finds the few refunds whose id is too old for the window of a reconciliation in which they were settled.';
