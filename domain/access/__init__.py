"""Callers: credentials, owners and what each may do."""
