"""Which session has a place for a worker, and who waits for one."""
