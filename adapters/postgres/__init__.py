"""Everything that speaks to PostgreSQL: `gateway.py` runs its statements, `statements.py` names them."""
