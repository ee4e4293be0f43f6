DROP TABLE meta.api_keys;
