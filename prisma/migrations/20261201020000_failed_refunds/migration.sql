-- A refund that fails after the seats were given up leaves a customer without seats and money.
CREATE INDEX refunds_failed ON refunds (order_id) WHERE state = 'failed';
COMMENT ON INDEX refunds_failed IS
  'Finds the few refunds that failed: of a booking that is shown, and for the metric of the money that is owed.';
