CREATE TABLE policy_versions (
  version_id {key} PRIMARY KEY,
  policy {key} NOT NULL,
  version {bigint} NOT NULL,
  registered_at {bigint} NOT NULL,
  registered_by TEXT NOT NULL,
  imported {bigint} NOT NULL,
  effective_from {bigint},
  terms TEXT NOT NULL,
  content_hash TEXT NOT NULL,
  withdrawn_at {bigint},
  withdrawn_by TEXT,
  UNIQUE (policy, version)
);
CREATE TABLE closures (
  closure_id {key} PRIMARY KEY,
  policy {key} NOT NULL,
  date TEXT NOT NULL,
  reason_de {bytes},
  reason_en {bytes},
  entered_at {bigint} NOT NULL,
  entered_by TEXT NOT NULL,
  UNIQUE (policy, date)
);
CREATE INDEX events_of_order ON events (order_id, position) WHERE order_id IS NOT NULL;
ALTER TABLE journal_head ADD COLUMN policies_at {bigint} NOT NULL DEFAULT 0;
