"""The partitions of the history, cleanup, and the storage budget."""
