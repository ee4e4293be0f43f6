"""Runs scripts in sandboxed worker processes on this host: `runner.py` is what to read first."""
