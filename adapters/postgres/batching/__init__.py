"""Calls of one kind, gathered into few statements."""
