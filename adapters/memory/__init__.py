"""Fakes of the ports for tests; they pass the same contracts as the real adapters."""
