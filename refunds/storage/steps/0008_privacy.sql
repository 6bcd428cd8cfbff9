CREATE TABLE data_requests (
  request_id {key} PRIMARY KEY,
  kind TEXT NOT NULL,
  customer_id {key} REFERENCES customers (customer_id),
  channel TEXT NOT NULL,
  identity_check {bytes},
  recipient {bytes},
  received_at {bigint} NOT NULL,
  recorded_at {bigint} NOT NULL,
  recorded_by TEXT NOT NULL,
  due_at {bigint} NOT NULL,
  extended_at {bigint},
  extended_by TEXT,
  extension_reason {bytes},
  fee TEXT,
  fee_reason {bytes},
  closed_at {bigint},
  closed_by TEXT,
  outcome TEXT,
  outcome_reason {bytes}
);
CREATE INDEX data_requests_of_customer ON data_requests (customer_id, request_id) WHERE customer_id IS NOT NULL;
CREATE INDEX open_data_requests ON data_requests (due_at, request_id) WHERE closed_at IS NULL;
CREATE TABLE disclosures (
  disclosure_id {key} PRIMARY KEY,
  customer_id {key} NOT NULL REFERENCES customers (customer_id),
  basis TEXT NOT NULL,
  recipient {bytes},
  reference {bytes},
  disclosed_at {bigint} NOT NULL,
  disclosed_by TEXT NOT NULL
);
CREATE INDEX disclosures_of_customer ON disclosures (customer_id, disclosure_id);
CREATE TABLE limits (
  limit_id {key} PRIMARY KEY,
  customer_id {key} NOT NULL REFERENCES customers (customer_id),
  kind TEXT NOT NULL,
  reason {bytes},
  set_at {bigint} NOT NULL,
  set_by TEXT NOT NULL,
  lifted_at {bigint},
  lifted_by TEXT
);
CREATE INDEX limits_of_customer ON limits (customer_id, limit_id);
CREATE UNIQUE INDEX one_limit_of_a_kind ON limits (customer_id, kind) WHERE lifted_at IS NULL;
CREATE INDEX erased_customers ON customers (customer_id) WHERE length(wrapped_key) = 0;
ALTER TABLE idempotency ADD COLUMN of_customer {key} REFERENCES customers (customer_id);
CREATE INDEX replies_of_customer ON idempotency (of_customer) WHERE of_customer IS NOT NULL;
-- ANALYZE on a server samples values; to give a column its own type drops the samples that there are.
{on_server}ALTER TABLE keys ALTER COLUMN wrapped TYPE {bytes}, ALTER COLUMN wrapped SET STATISTICS 0;
{on_server}ALTER TABLE tokens ALTER COLUMN secret_digest TYPE {bytes}, ALTER COLUMN secret_digest SET STATISTICS 0;
{on_server}ALTER TABLE sign_in_attempts ALTER COLUMN name_digest TYPE {bytes}, ALTER COLUMN name_digest SET STATISTICS 0;
{on_server}ALTER TABLE closures ALTER COLUMN reason_de TYPE {bytes}, ALTER COLUMN reason_de SET STATISTICS 0, ALTER COLUMN reason_en TYPE {bytes}, ALTER COLUMN reason_en SET STATISTICS 0;
{on_server}ALTER TABLE customers ALTER COLUMN digest TYPE {bytes}, ALTER COLUMN digest SET STATISTICS 0, ALTER COLUMN wrapped_key TYPE {bytes}, ALTER COLUMN wrapped_key SET STATISTICS 0;
{on_server}ALTER TABLE orders ALTER COLUMN customer_ref TYPE {bytes}, ALTER COLUMN customer_ref SET STATISTICS 0, ALTER COLUMN correction_reason TYPE {bytes}, ALTER COLUMN correction_reason SET STATISTICS 0;
{on_server}ALTER TABLE contacts ALTER COLUMN from_detail TYPE {bytes}, ALTER COLUMN from_detail SET STATISTICS 0, ALTER COLUMN ticket_ref TYPE {bytes}, ALTER COLUMN ticket_ref SET STATISTICS 0, ALTER COLUMN note TYPE {bytes}, ALTER COLUMN note SET STATISTICS 0, ALTER COLUMN resolution_reason TYPE {bytes}, ALTER COLUMN resolution_reason SET STATISTICS 0, ALTER COLUMN acknowledged_to TYPE {bytes}, ALTER COLUMN acknowledged_to SET STATISTICS 0;
{on_server}ALTER TABLE unmatched_contacts ALTER COLUMN wrapped_key TYPE {bytes}, ALTER COLUMN wrapped_key SET STATISTICS 0, ALTER COLUMN order_hint TYPE {bytes}, ALTER COLUMN order_hint SET STATISTICS 0, ALTER COLUMN from_detail TYPE {bytes}, ALTER COLUMN from_detail SET STATISTICS 0, ALTER COLUMN ticket_ref TYPE {bytes}, ALTER COLUMN ticket_ref SET STATISTICS 0, ALTER COLUMN note TYPE {bytes}, ALTER COLUMN note SET STATISTICS 0, ALTER COLUMN closed_reason TYPE {bytes}, ALTER COLUMN closed_reason SET STATISTICS 0;
{on_server}ALTER TABLE cancellations ALTER COLUMN override_reason TYPE {bytes}, ALTER COLUMN override_reason SET STATISTICS 0, ALTER COLUMN billing_ref TYPE {bytes}, ALTER COLUMN billing_ref SET STATISTICS 0, ALTER COLUMN revocation_reason TYPE {bytes}, ALTER COLUMN revocation_reason SET STATISTICS 0;
{on_server}ALTER TABLE limits ALTER COLUMN reason TYPE {bytes}, ALTER COLUMN reason SET STATISTICS 0;
{on_server}ALTER TABLE disclosures ALTER COLUMN recipient TYPE {bytes}, ALTER COLUMN recipient SET STATISTICS 0, ALTER COLUMN reference TYPE {bytes}, ALTER COLUMN reference SET STATISTICS 0;
{on_server}ALTER TABLE data_requests ALTER COLUMN identity_check TYPE {bytes}, ALTER COLUMN identity_check SET STATISTICS 0, ALTER COLUMN recipient TYPE {bytes}, ALTER COLUMN recipient SET STATISTICS 0, ALTER COLUMN extension_reason TYPE {bytes}, ALTER COLUMN extension_reason SET STATISTICS 0, ALTER COLUMN fee_reason TYPE {bytes}, ALTER COLUMN fee_reason SET STATISTICS 0, ALTER COLUMN outcome_reason TYPE {bytes}, ALTER COLUMN outcome_reason SET STATISTICS 0;
{on_server}ALTER TABLE idempotency ALTER COLUMN key_hash TYPE {bytes}, ALTER COLUMN key_hash SET STATISTICS 0, ALTER COLUMN fingerprint TYPE {bytes}, ALTER COLUMN fingerprint SET STATISTICS 0, ALTER COLUMN reply TYPE {bytes}, ALTER COLUMN reply SET STATISTICS 0;
