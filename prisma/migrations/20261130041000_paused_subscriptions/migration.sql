-- In a migration of its own, because a new value of an enumeration cannot be used in the transaction that adds it.

ALTER TYPE subscription_state ADD VALUE 'paused';
