"""Buckets: the parts into which the rows of sessions are divided in a distributed database."""
