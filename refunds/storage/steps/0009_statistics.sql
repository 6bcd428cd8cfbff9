CREATE TABLE statistics (
  month {key} PRIMARY KEY,
  cells TEXT NOT NULL,
  closed_at {bigint} NOT NULL,
  closed_by TEXT NOT NULL
);
