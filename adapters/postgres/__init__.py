"""The adapter of PostgreSQL: `gateway.py` runs its statements, `statements.py` names them."""
