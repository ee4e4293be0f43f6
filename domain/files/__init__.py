"""Files of owners: uploaded by callers, or written by scripts, and kept for a while."""
