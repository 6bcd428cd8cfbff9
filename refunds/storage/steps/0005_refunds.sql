ALTER TABLE cancellations ADD COLUMN refund_begun_at {bigint};
ALTER TABLE cancellations ADD COLUMN refund_begun_by TEXT;
DROP INDEX one_active_cancellation;
CREATE UNIQUE INDEX one_active_cancellation ON cancellations (order_id)
  WHERE state IN ('issued', 'refunding', 'settled');
DROP INDEX cancellations_due;
CREATE INDEX cancellations_due ON cancellations (overdue_at, cancellation_id) WHERE state IN ('issued', 'refunding');
ALTER TABLE journal_head ADD COLUMN journal_id TEXT;
ALTER TABLE orders ADD COLUMN facts_entered_by_agent {bigint};
ALTER TABLE orders ADD COLUMN facts_corrected_after_refusal {bigint};
CREATE INDEX orders_of_agents ON orders (registered_at, order_id) WHERE facts_entered_by_agent = 1;
CREATE INDEX orders_by_registration ON orders (registered_at, order_id);
