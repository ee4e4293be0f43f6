"""Worker processes: started, given operations, measured from outside, and ended."""
