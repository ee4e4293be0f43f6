"""Whose call a call belongs to, across processes: W3C Trace Context, and spans where they are wanted."""
