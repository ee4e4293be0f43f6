"""Runs scripts on runtime hosts, over HTTP."""
