"""A whole takeover under load, there and back, with kills: `python -m tests.origin.drill --help`."""
