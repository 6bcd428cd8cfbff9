"""The steps of the schema, in their order. Never change a released step: add one."""

from refunds.storage.first_step import RECORDS

_POLICIES = """
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
"""

_USERS = """
CREATE TABLE users (
  user_id {key} PRIMARY KEY,
  name {key} UNIQUE,
  role TEXT NOT NULL,
  password_hash TEXT NOT NULL,
  epoch {bigint} NOT NULL,
  registered_at {bigint} NOT NULL,
  disabled_at {bigint}
){clustered};
CREATE TABLE sign_in_attempts (
  name_digest {bytes} PRIMARY KEY,
  made {bigint} NOT NULL,
  since {bigint} NOT NULL
){clustered};
CREATE INDEX attempts_by_age ON sign_in_attempts (since);
CREATE INDEX cancellations_of_issuer ON cancellations (issued_by, cancellation_id);
"""

# The database computes it from the decision in the same row, so older rows have it too and no digest changes.
_JUDGING_POLICY = """
ALTER TABLE contacts ADD COLUMN judging_policy TEXT {policy_of_decision};
ALTER TABLE cancellations ADD COLUMN judging_policy TEXT {policy_of_decision};
"""

_REFUNDS = """
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
"""

_PROMISES = """
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
"""

_ANSWERS = """
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
"""

_PRIVACY = """
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
"""

# ANALYZE on a server samples values; to give a column its own type drops the samples that there are.
_SEALED = """keys wrapped|tokens secret_digest|sign_in_attempts name_digest|closures reason_de reason_en
customers digest wrapped_key|orders customer_ref correction_reason
contacts from_detail ticket_ref note resolution_reason acknowledged_to
unmatched_contacts wrapped_key order_hint from_detail ticket_ref note closed_reason
cancellations override_reason billing_ref revocation_reason|limits reason|disclosures recipient reference
data_requests identity_check recipient extension_reason fee_reason outcome_reason
idempotency key_hash fingerprint reply"""
for _table, *_columns in map(str.split, _SEALED.replace("|", "\n").splitlines()):
    _changes = (f"ALTER COLUMN {one} TYPE {{bytes}}, ALTER COLUMN {one} SET STATISTICS 0" for one in _columns)
    _PRIVACY += f"{{on_server}}ALTER TABLE {_table} {', '.join(_changes)};\n"

_STATISTICS = """
CREATE TABLE statistics (
  month {key} PRIMARY KEY,
  cells TEXT NOT NULL,
  closed_at {bigint} NOT NULL,
  closed_by TEXT NOT NULL
);
"""

_RETENTION = """
CREATE INDEX cancellations_of_contact ON cancellations (contact_id);
CREATE INDEX contacts_with_details ON contacts (contact_id, received_at)
  WHERE backdated = 0 AND (length(note) > 0 OR length(ticket_ref) > 0);
"""

_QUEUE = """
ALTER TABLE contacts ADD COLUMN taken_by TEXT;
ALTER TABLE unmatched_contacts ADD COLUMN taken_by TEXT;
CREATE INDEX contacts_of_resolver ON contacts (resolved_by, resolved_at) WHERE resolved_at IS NOT NULL;
CREATE INDEX unmatched_of_resolver ON unmatched_contacts (closed_by, closed_at) WHERE closed_at IS NOT NULL;
"""

_SESSIONS = """
CREATE TABLE sessions (
  session_id {key} PRIMARY KEY,
  user_id {key} NOT NULL REFERENCES users (user_id),
  began_at {bigint} NOT NULL,
  seen_at {bigint} NOT NULL
){clustered};
CREATE INDEX sessions_of_user ON sessions (user_id);
CREATE INDEX sessions_by_age ON sessions (began_at);
"""

_CORRECTIONS = """
ALTER TABLE unmatched_contacts ADD COLUMN supersedes {key};
ALTER TABLE unmatched_contacts ADD COLUMN superseded_by TEXT;
ALTER TABLE unmatched_contacts ADD COLUMN acknowledged_at {bigint};
ALTER TABLE unmatched_contacts ADD COLUMN acknowledged_by TEXT;
ALTER TABLE unmatched_contacts ADD COLUMN acknowledged_through TEXT;
ALTER TABLE unmatched_contacts ADD COLUMN acknowledged_to {bytes};
{on_server}ALTER TABLE unmatched_contacts ALTER COLUMN acknowledged_to SET STATISTICS 0;
CREATE UNIQUE INDEX one_unmatched_supersedes ON unmatched_contacts (supersedes) WHERE supersedes IS NOT NULL;
DROP INDEX one_unmatched_of_contact;
CREATE INDEX unmatched_of_contact ON unmatched_contacts (contact_id) WHERE contact_id IS NOT NULL;
"""

# Of the records of an order, each has its own id in the last column of the first two, except the active or current one.
_INDEXES = """
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
"""

_BY_WINDOW = "CASE WHEN {outcome[deadline]} IS NULL THEN '1' ELSE '0' END"
_TOLD_BEFORE = """replace(decision, '"told_before_correction"', '') <> decision"""
REFUSED = (
    f"({{outcome[reason]}} = 'channel_not_accepted' OR {{outcome[reason]}} = 'window_elapsed' AND NOT {_TOLD_BEFORE})"
)
"""The condition that the decision of a contact refuses, not counting that of a cancelled order, as an index has it."""

# A place sorts by tab, then by deadline; without one, it comes last, by receipt. An order with several open contacts is
# found by one that was not its first request, so that nothing changes when contacts are closed or opened again.
_OPEN = f"""
ALTER TABLE contacts ADD COLUMN queue_place {{key}} GENERATED ALWAYS AS (CASE WHEN is_open = 1 THEN
  CASE CASE intent WHEN 'withdrawal' THEN intent ELSE {{outcome[reason]}} END
  WHEN 'within_window' THEN {_BY_WINDOW} WHEN 'service_not_yet_provided' THEN {_BY_WINDOW} WHEN 'withdrawal' THEN '2'
  WHEN 'unofficial_contact_point' THEN '3' WHEN 'withdrawal_needs_supervisor' THEN '3' WHEN 'calendar_unknown' THEN '3'
  WHEN 'late_entry_needs_supervisor' THEN '3' WHEN 'window_elapsed' THEN CASE WHEN {_TOLD_BEFORE} THEN '3' ELSE '4' END
  ELSE '4' END ||
  coalesce(rtrim({{outcome[deadline]}}, 'Z'), '~' || CAST(received_at + 2000000000000000000 AS TEXT)) END) {{computed}};
ALTER TABLE contacts ADD COLUMN requests_before {{bigint}} NOT NULL DEFAULT 0;
UPDATE contacts SET requests_before = (SELECT count(*) FROM contacts AS e
  WHERE e.order_id = contacts.order_id AND e.contact_id < contacts.contact_id AND e.intent <> 'question')
  WHERE intent <> 'question' AND EXISTS
  (SELECT 1 FROM contacts AS o WHERE o.order_id = contacts.order_id AND o.contact_id < contacts.contact_id);
CREATE INDEX queued_contacts ON contacts (queue_place, contact_id) WHERE is_open = 1;
CREATE INDEX open_after_others ON contacts (requests_before, order_id) WHERE is_open = 1 AND requests_before > 0;
CREATE INDEX open_by_receipt ON contacts (received_at) WHERE is_open = 1;
CREATE INDEX taken_contacts ON contacts (taken_by, order_id) WHERE is_open = 1 AND taken_by IS NOT NULL;
CREATE INDEX contacts_without_request ON contacts (contact_id) WHERE intent = 'question' OR superseded_by IS NOT NULL;
CREATE INDEX refused_requests ON contacts (recorded_at)
  WHERE intent IN ('cancel', 'withdrawal') AND superseded_by IS NULL AND {REFUSED};
CREATE INDEX queued_unmatched ON unmatched_contacts (received_at, unmatched_id) WHERE is_open = 1;
CREATE INDEX taken_unmatched ON unmatched_contacts (taken_by) WHERE is_open = 1 AND taken_by IS NOT NULL;
CREATE INDEX unmatched_by_entry ON unmatched_contacts (recorded_at)
  WHERE intent IN ('cancel', 'withdrawal') AND contact_id IS NULL AND superseded_by IS NULL;
CREATE INDEX goodwill_by_issue ON cancellations (issued_at, issued_by) WHERE basis = 'goodwill' AND state <> 'revoked';
"""  # noqa: S608 - of constants

MIGRATIONS = (
    ("0001_records", RECORDS),
    ("0002_policies", _POLICIES),
    ("0003_users", _USERS),
    ("0004_judging_policy", _JUDGING_POLICY),
    ("0005_refunds", _REFUNDS),
    ("0006_promises", _PROMISES),
    ("0007_answers", _ANSWERS),
    ("0008_privacy", _PRIVACY),
    ("0009_statistics", _STATISTICS),
    ("0010_retention", _RETENTION),
    ("0011_queue", _QUEUE),
    ("0012_sessions", _SESSIONS),
    ("0013_corrections", _CORRECTIONS),
    ("0014_indexes", _INDEXES),
    ("0015_open", _OPEN),
)

GENERATED = {"judging_policy", "queue_place"}
"""Columns that the database computes; the service never writes them."""
