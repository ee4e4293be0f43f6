"""Sends messages to webhooks over HTTP."""
