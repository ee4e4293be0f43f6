"""Steps of the schema: `NNNN_name.up.sql` and its down migration, `NNNN_name.down.sql`."""
