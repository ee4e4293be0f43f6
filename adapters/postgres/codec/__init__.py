"""Entities and values as rows and columns: written, and read again."""
