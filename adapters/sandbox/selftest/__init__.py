"""Attacks on the sandbox of this host, and the judgement whether any succeeds."""
