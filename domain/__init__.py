"""Rules of script sessions: standard library and attrs, no input or output."""
