CREATE TABLE promises (
  promise_id {key} PRIMARY KEY,
  order_id {key} NOT NULL REFERENCES orders (order_id),
  policy TEXT NOT NULL,
  region TEXT,
  ordered_at {bigint},
  service_provided_at {bigint} NOT NULL,
  deadline {bigint} NOT NULL,
  told TEXT NOT NULL,
  holidays_version TEXT NOT NULL,
  tzdata_version TEXT NOT NULL,
  cause TEXT NOT NULL,
  promised_at {bigint} NOT NULL,
  promised_by TEXT NOT NULL,
  is_current {bigint} NOT NULL
);
CREATE INDEX promises_of_order ON promises (order_id, promise_id);
CREATE UNIQUE INDEX one_current_promise ON promises (order_id) WHERE is_current = 1;
CREATE INDEX current_promises ON promises (deadline, order_id) WHERE is_current = 1;
ALTER TABLE orders ADD COLUMN told_until {bigint};
