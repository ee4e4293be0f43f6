"""Schedules: executions that are accepted at times of a plan."""
