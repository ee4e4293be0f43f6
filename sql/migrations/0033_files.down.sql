-- lock
LOCK TABLE meta.files, meta.file_chunks IN ACCESS EXCLUSIVE MODE;

-- destroys files
SELECT
    (SELECT count(*) FROM meta.files) AS files,
    (SELECT count(*) FROM meta.file_chunks) AS file_chunks;

-- statements
DROP FUNCTION meta.empty_file_slot(smallint, timestamptz);
DROP TABLE meta.file_chunks;
DROP TABLE meta.files;
