"""The first step of the schema, which never changes."""

RECORDS = """
CREATE TABLE keys (
  name {key} PRIMARY KEY,
  wrapped {bytes} NOT NULL
){clustered};
CREATE TABLE clients (
  client_id {key} PRIMARY KEY,
  name {key} NOT NULL UNIQUE,
  role TEXT NOT NULL,
  registered_at {bigint} NOT NULL
){clustered};
CREATE TABLE tokens (
  token_id {key} PRIMARY KEY,
  client_id {key} NOT NULL REFERENCES clients (client_id),
  secret_digest {bytes} NOT NULL,
  created_at {bigint} NOT NULL,
  expires_at {bigint} NOT NULL,
  revoked_at {bigint}
){clustered};
CREATE INDEX tokens_of_client ON tokens (client_id, token_id);
CREATE TABLE customers (
  customer_id {key} PRIMARY KEY,
  digest {bytes} NOT NULL UNIQUE,
  wrapped_key {bytes} NOT NULL
){clustered};
CREATE TABLE orders (
  order_id {key} PRIMARY KEY,
  customer_id {key} NOT NULL REFERENCES customers (customer_id),
  customer_ref {bytes},
  policy TEXT NOT NULL,
  region TEXT,
  ordered_at {bigint},
  service_provided_at {bigint},
  registered_at {bigint} NOT NULL,
  asserted_by TEXT NOT NULL,
  revision {bigint} NOT NULL,
  correction_reason {bytes}
){clustered};
CREATE INDEX orders_of_customer ON orders (customer_id, order_id);
CREATE TABLE contacts (
  contact_id {key} PRIMARY KEY,
  order_id {key} NOT NULL REFERENCES orders (order_id),
  intent TEXT NOT NULL,
  channel TEXT NOT NULL,
  sent_at {bigint},
  received_at {bigint} NOT NULL,
  recorded_at {bigint} NOT NULL,
  recorded_by TEXT NOT NULL,
  contact_point TEXT,
  from_detail {bytes},
  ticket_ref {bytes},
  note {bytes},
  supersedes {key},
  decision TEXT NOT NULL,
  backdated {bigint} NOT NULL,
  is_open {bigint} NOT NULL,
  superseded_by {key},
  resolution_reason {bytes},
  resolved_at {bigint},
  resolved_by TEXT
);
CREATE INDEX contacts_of_order ON contacts (order_id, contact_id);
CREATE INDEX open_contacts ON contacts (contact_id) WHERE is_open = 1;
CREATE INDEX backdated_contacts ON contacts (contact_id) WHERE backdated = 1;
CREATE UNIQUE INDEX one_successor ON contacts (supersedes) WHERE supersedes IS NOT NULL;
CREATE TABLE cancellations (
  cancellation_id {key} PRIMARY KEY,
  reference {key} NOT NULL UNIQUE,
  order_id {key} NOT NULL REFERENCES orders (order_id),
  contact_id {key} NOT NULL REFERENCES contacts (contact_id),
  decision TEXT NOT NULL,
  basis TEXT NOT NULL,
  state TEXT NOT NULL,
  issued_at {bigint} NOT NULL,
  issued_by TEXT NOT NULL,
  refund_due_by TEXT NOT NULL,
  overdue_at {bigint} NOT NULL,
  override_kind TEXT,
  override_reason {bytes},
  override_by TEXT,
  settled_at {bigint},
  settled_by TEXT,
  billing_ref {bytes},
  revocation_code TEXT,
  revocation_reason {bytes},
  revoked_at {bigint},
  revoked_by TEXT
);
CREATE UNIQUE INDEX one_active_cancellation ON cancellations (order_id) WHERE state IN ('issued', 'settled');
CREATE INDEX cancellations_of_order ON cancellations (order_id, cancellation_id);
CREATE INDEX cancellations_by_state ON cancellations (state, cancellation_id);
CREATE INDEX cancellations_due ON cancellations (state, overdue_at, cancellation_id);
CREATE TABLE events (
  position {bigint} PRIMARY KEY,
  type TEXT NOT NULL,
  at {bigint} NOT NULL,
  actor TEXT NOT NULL,
  subject TEXT NOT NULL,
  order_id {key},
  data TEXT NOT NULL,
  digest {bytes} NOT NULL,
  previous {bytes} NOT NULL,
  hash {bytes} NOT NULL
);
CREATE INDEX events_by_type ON events (type, position);
CREATE TABLE journal_head (
  id {bigint} PRIMARY KEY CHECK (id = 1),
  position {bigint} NOT NULL,
  hash {bytes} NOT NULL
);
INSERT INTO journal_head (id, position, hash) VALUES (1, 0, :genesis);
CREATE TABLE idempotency (
  client_id {key} NOT NULL,
  key_hash {bytes} NOT NULL,
  fingerprint {bytes} NOT NULL,
  expires_at {bigint} NOT NULL,
  order_id {key} REFERENCES orders (order_id),
  reply {bytes},
  PRIMARY KEY (client_id, key_hash)
);
CREATE INDEX replies_by_expiry ON idempotency (expires_at);
CREATE INDEX replies_of_order ON idempotency (order_id);
"""
