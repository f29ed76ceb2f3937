-- The merchant receives an event for each subscription that we pause. A migration has paused some without one.
INSERT INTO outbox (id, account_id, channel, topic, subject_id, payload)
SELECT overlay(overlay(gen_random_uuid()::text PLACING left(now_ms, 8) || '-' || right(now_ms, 4) FROM 1) PLACING '7' FROM 15)::uuid,
       account_id, 'webhook', 'subscription.paused', id,
       jsonb_build_object(
         'id', id, 'customerId', customer_id, 'gatewayCustomerId', gateway_customer_id, 'paymentMethod', payment_method,
         'amountMinor', amount_minor, 'currency', currency,
         'interval', jsonb_build_object('unit', interval_unit, 'count', interval_count), 'timeZone', time_zone,
         'anchor', to_char(anchor, 'YYYY-MM-DD"T"HH24:MI:SS'), 'receiptEmail', receipt_email,
         'missedPeriods', missed_periods, 'state', state, 'pausedBecause', paused_because, 'nextDueAt', NULL,
         'createdAt', to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))
  FROM subscriptions, lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') AS now_ms
 WHERE state = 'paused' AND account_id IN (SELECT account_id FROM webhook_endpoints);
