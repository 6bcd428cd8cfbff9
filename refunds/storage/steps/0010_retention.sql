CREATE INDEX cancellations_of_contact ON cancellations (contact_id);
CREATE INDEX contacts_with_details ON contacts (contact_id, received_at)
  WHERE backdated = 0 AND (length(note) > 0 OR length(ticket_ref) > 0);
