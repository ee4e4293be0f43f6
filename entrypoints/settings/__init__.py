"""Reading, judging and listing the settings."""
