"""PostgreSQL, the journal and the weights on disk. Knows nothing about HTTP or who is asking."""
