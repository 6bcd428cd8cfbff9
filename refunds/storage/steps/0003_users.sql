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
