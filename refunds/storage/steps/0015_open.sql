-- A place sorts by tab, then by deadline; without one, it comes last, by receipt. An order with several open contacts is
-- found by one that was not its first request, so that nothing changes when contacts are closed or opened again.
ALTER TABLE contacts ADD COLUMN queue_place {key} GENERATED ALWAYS AS (CASE WHEN is_open = 1 THEN
  CASE CASE intent WHEN 'withdrawal' THEN intent ELSE {outcome[reason]} END
    WHEN 'within_window' THEN CASE WHEN {outcome[deadline]} IS NULL THEN '1' ELSE '0' END
    WHEN 'service_not_yet_provided' THEN CASE WHEN {outcome[deadline]} IS NULL THEN '1' ELSE '0' END
    WHEN 'withdrawal' THEN '2'
    WHEN 'unofficial_contact_point' THEN '3'
    WHEN 'withdrawal_needs_supervisor' THEN '3'
    WHEN 'calendar_unknown' THEN '3'
    WHEN 'late_entry_needs_supervisor' THEN '3'
    WHEN 'window_elapsed' THEN
      CASE WHEN replace(decision, '"told_before_correction"', '') <> decision THEN '3' ELSE '4' END
    ELSE '4' END ||
  coalesce(rtrim({outcome[deadline]}, 'Z'), '~' || CAST(received_at + 2000000000000000000 AS TEXT)) END) {computed};
ALTER TABLE contacts ADD COLUMN requests_before {bigint} NOT NULL DEFAULT 0;
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
  WHERE intent IN ('cancel', 'withdrawal') AND superseded_by IS NULL
    AND ({outcome[reason]} = 'channel_not_accepted' OR {outcome[reason]} = 'window_elapsed'
      AND NOT replace(decision, '"told_before_correction"', '') <> decision);
CREATE INDEX queued_unmatched ON unmatched_contacts (received_at, unmatched_id) WHERE is_open = 1;
CREATE INDEX taken_unmatched ON unmatched_contacts (taken_by) WHERE is_open = 1 AND taken_by IS NOT NULL;
CREATE INDEX unmatched_by_entry ON unmatched_contacts (recorded_at)
  WHERE intent IN ('cancel', 'withdrawal') AND contact_id IS NULL AND superseded_by IS NULL;
CREATE INDEX goodwill_by_issue ON cancellations (issued_at, issued_by) WHERE basis = 'goodwill' AND state <> 'revoked';
