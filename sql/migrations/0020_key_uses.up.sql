-- works beside 0016
-- Written in the background, so that an operator sees which keys nobody uses.
ALTER TABLE meta.api_keys ADD COLUMN last_used_at timestamptz;

COMMENT ON COLUMN meta.api_keys.last_used_at IS
'When the key was last used, late by about a minute; null before the first use since this column is there.';
