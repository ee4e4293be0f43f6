"""Attacks on the sandbox of this host, and whether any of them succeeds."""
