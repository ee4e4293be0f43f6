"""Stored data: its size, its growth and its budget."""
