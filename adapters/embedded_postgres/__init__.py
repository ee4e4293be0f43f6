"""The embedded PostgreSQL: a folder of binaries, a data folder, and the life of the server on them."""
