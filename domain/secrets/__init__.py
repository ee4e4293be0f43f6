"""Secrets: values of owners that are given to scripts, and are not stored or shown in the clear."""
