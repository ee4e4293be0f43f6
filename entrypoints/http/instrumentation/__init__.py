"""Observers of every request: access log, metrics, traces."""
