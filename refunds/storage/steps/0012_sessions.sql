CREATE TABLE sessions (
  session_id {key} PRIMARY KEY,
  user_id {key} NOT NULL REFERENCES users (user_id),
  began_at {bigint} NOT NULL,
  seen_at {bigint} NOT NULL
){clustered};
CREATE INDEX sessions_of_user ON sessions (user_id);
CREATE INDEX sessions_by_age ON sessions (began_at);
