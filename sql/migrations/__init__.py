"""Steps of the schema: `NNNN_name.up.sql` and its way back, `NNNN_name.down.sql`."""
