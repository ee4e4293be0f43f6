"""Parts of the runtime host: what it reads, what it keeps, what it answers."""
