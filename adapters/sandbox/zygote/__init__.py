"""Zygotes: the locked processes that fork into workers, and the sandboxes around them."""
