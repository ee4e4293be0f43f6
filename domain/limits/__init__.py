"""Rates and quotas of owners."""
