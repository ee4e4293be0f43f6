"""Egress: which names the script of a session may reach, and what its connections used."""
