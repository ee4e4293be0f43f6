"""The domain's ports to stored objects."""
