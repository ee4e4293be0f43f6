"""Executions: single runs of a session's script."""
