"""What each route does: decode, call, encode."""
