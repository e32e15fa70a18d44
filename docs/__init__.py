"""The reference, made from code: `make docs` writes it, and a test fails when what is committed is stale."""
