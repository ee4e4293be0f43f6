"""What comes in paths, query strings and headers, parsed once."""
