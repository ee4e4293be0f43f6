"""The state of a session: a JSON object that its executions read and write, one after the other."""
