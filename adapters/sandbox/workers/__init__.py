"""Worker processes: started, spoken with, measured from outside, and ended."""
