"""Takeover: sessions of the origin, the system that this service replaces, and the rules by which they move."""
