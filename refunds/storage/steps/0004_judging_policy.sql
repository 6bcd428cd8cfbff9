-- The database computes it from the decision in the same row, so older rows have it too and no digest changes.
ALTER TABLE contacts ADD COLUMN judging_policy TEXT {policy_of_decision};
ALTER TABLE cancellations ADD COLUMN judging_policy TEXT {policy_of_decision};
