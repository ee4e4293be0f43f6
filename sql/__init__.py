"""Every statement, named, and the migrations of the schema."""
