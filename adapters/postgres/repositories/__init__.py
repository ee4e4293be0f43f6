"""The domain's ports to what is stored."""
