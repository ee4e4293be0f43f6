"""The command `bench`: a benchmark of a running service."""
