-- Variant B: as the documents have it, which is variant C (loaded before) with a reference to users.
ALTER TABLE meta.sessions ADD CONSTRAINT sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES meta.users (user_id);
CREATE INDEX idx_sessions_user_id ON meta.sessions (user_id);
