"""The embedded PostgreSQL: its programs, its data folder, and its server."""
