"""The origin: its HTTP API, and what is read from and written to its databases."""
