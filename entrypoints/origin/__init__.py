"""The API of the origin on a listener of its own: the old clients' calls on the same services."""
