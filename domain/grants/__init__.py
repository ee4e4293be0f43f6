"""Grants: what the script of a session may use beside its params and its context."""
