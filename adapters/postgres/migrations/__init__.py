"""The schema: migrated up and down, and compared with the release."""
