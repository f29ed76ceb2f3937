-- The states of manual capture and of refunded orders. In a migration of their own, because PostgreSQL lets nobody use a
-- new value of an enumeration in the transaction that adds it.

ALTER TYPE order_state ADD VALUE 'partially_refunded';
ALTER TYPE order_state ADD VALUE 'refunded';

ALTER TYPE payment_state ADD VALUE 'authorized';
ALTER TYPE payment_state ADD VALUE 'capturing';
ALTER TYPE payment_state ADD VALUE 'voiding';
ALTER TYPE payment_state ADD VALUE 'voided';
