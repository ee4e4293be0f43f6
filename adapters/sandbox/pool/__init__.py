"""The worker pool of this host: slots for workers of sessions, and the calls that wait for one."""
