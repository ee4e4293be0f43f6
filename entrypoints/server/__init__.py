"""Processes: the supervisor and the children that it starts, watches and ends."""
