ALTER TABLE contacts ADD COLUMN request_number {key};
ALTER TABLE contacts ADD COLUMN resolution_code TEXT;
ALTER TABLE contacts ADD COLUMN duplicate_of {key};
ALTER TABLE contacts ADD COLUMN acknowledged_at {bigint};
ALTER TABLE contacts ADD COLUMN acknowledged_by TEXT;
ALTER TABLE contacts ADD COLUMN acknowledged_through TEXT;
ALTER TABLE contacts ADD COLUMN acknowledged_to {bytes};
CREATE UNIQUE INDEX contacts_by_number ON contacts (request_number) WHERE request_number IS NOT NULL;
CREATE INDEX contacts_without_number ON contacts (contact_id) WHERE request_number IS NULL;
CREATE TABLE unmatched_contacts (
  unmatched_id {key} PRIMARY KEY,
  request_number {key} NOT NULL UNIQUE,
  wrapped_key {bytes},
  intent TEXT NOT NULL,
  channel TEXT NOT NULL,
  sent_at {bigint},
  received_at {bigint} NOT NULL,
  recorded_at {bigint} NOT NULL,
  recorded_by TEXT NOT NULL,
  contact_point TEXT,
  order_hint {bytes},
  from_detail {bytes},
  ticket_ref {bytes},
  note {bytes},
  is_open {bigint} NOT NULL,
  contact_id {key},
  closed_at {bigint},
  closed_by TEXT,
  closed_reason {bytes}
);
CREATE INDEX open_unmatched ON unmatched_contacts (unmatched_id) WHERE is_open = 1;
CREATE UNIQUE INDEX one_unmatched_of_contact ON unmatched_contacts (contact_id) WHERE contact_id IS NOT NULL;
ALTER TABLE idempotency ADD COLUMN unmatched_id {key} REFERENCES unmatched_contacts (unmatched_id);
CREATE INDEX replies_of_unmatched ON idempotency (unmatched_id) WHERE unmatched_id IS NOT NULL;
