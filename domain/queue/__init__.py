"""Executions that are accepted now and run later."""
