"""Server-rendered pages. Knows nothing about SQL."""
