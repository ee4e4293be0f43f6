"""Runs scripts in sandboxed worker processes on this host."""
