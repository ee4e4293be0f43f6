"""Buckets of a distributed database: where each lies, and the statements on it."""
