-- Of the records of an order, each has its own id in the last column of the first two, except the active or current one.
DROP INDEX one_active_cancellation;
DROP INDEX cancellations_of_order;
CREATE UNIQUE INDEX one_active_cancellation ON cancellations
  (order_id, (CASE WHEN state = 'revoked' THEN cancellation_id ELSE '' END));
DROP INDEX one_current_promise;
DROP INDEX promises_of_order;
CREATE UNIQUE INDEX one_current_promise ON promises
  (order_id, (CASE WHEN is_current = 1 THEN '' ELSE promise_id END));
DROP INDEX replies_of_order;
CREATE INDEX replies_of_order ON idempotency (order_id) WHERE order_id IS NOT NULL;
