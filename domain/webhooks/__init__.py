"""Webhooks: endpoints of owners that hear of the ends of executions."""
