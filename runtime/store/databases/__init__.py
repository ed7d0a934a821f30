"""Where the truth lies: SQLite or PostgreSQL, one writer that commits in groups, readers beside."""
