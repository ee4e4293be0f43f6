"""What callers are told of each operation; the route table names it in the operation's row."""
