"""A fake of the origin, lambda-microservice, for tests of the takeover: `python -m tests.origin --help`.

It is a controller with its runtimes: a process of its own, on a real PostgreSQL and for old generations a real Redis,
whose scripts run in child processes of real Python and Node.js. It is written from a description of the origin.
"""
