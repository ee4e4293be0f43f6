"""The supervisor and the processes that it starts, supervises and ends."""
