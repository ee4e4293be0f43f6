"""The time of the database."""
