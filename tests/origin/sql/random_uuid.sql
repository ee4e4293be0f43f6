-- What servers before PostgreSQL 13 have from an extension.
CREATE FUNCTION public.gen_random_uuid() RETURNS uuid LANGUAGE sql VOLATILE AS
'SELECT overlay(md5(random()::text || clock_timestamp()) PLACING ''4'' FROM 13)::uuid';
