ALTER TABLE contacts ADD COLUMN taken_by TEXT;
ALTER TABLE unmatched_contacts ADD COLUMN taken_by TEXT;
CREATE INDEX contacts_of_resolver ON contacts (resolved_by, resolved_at) WHERE resolved_at IS NOT NULL;
CREATE INDEX unmatched_of_resolver ON unmatched_contacts (closed_by, closed_at) WHERE closed_at IS NOT NULL;
