-- Processes reserve parts of the quotas of an owner, so that together they exceed none.
-- works beside 0016
ALTER TABLE meta.rates
ADD COLUMN version bigint NOT NULL DEFAULT 0,
ADD COLUMN replaced bigint NOT NULL DEFAULT 0,
ADD COLUMN slot bigint NOT NULL DEFAULT 0,
ADD COLUMN reserved bigint NOT NULL DEFAULT 0,
ADD COLUMN reserved_before bigint NOT NULL DEFAULT 0;

COMMENT ON TABLE meta.rates IS
'Limits of owners that all processes share: what is used of rates, and what is reserved of quotas.';
COMMENT ON COLUMN meta.rates.owner IS 'Whose limit it is.';
COMMENT ON COLUMN meta.rates.policy IS 'The policy of the rate, or the name of the quota.';
COMMENT ON COLUMN meta.rates.full_at IS
'When the whole rate is available again: the theoretical arrival time of the generic cell rate algorithm. '
'Of a quota, when nothing of it is reserved any more.';
COMMENT ON COLUMN meta.rates.version IS 'Another random number with each change of what is reserved; 0 for a rate.';
COMMENT ON COLUMN meta.rates.replaced IS 'The version before.';
COMMENT ON COLUMN meta.rates.slot IS 'In which slot of 30 s, counted from 1970, something was reserved last.';
COMMENT ON COLUMN meta.rates.reserved IS 'Sessions or bytes that were reserved in the slot.';
COMMENT ON COLUMN meta.rates.reserved_before IS 'Those that were reserved in the slot before.';
