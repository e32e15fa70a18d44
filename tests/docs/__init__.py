"""The documentation keeps its word: what its pages tell people to type is typed, and prints what they say it prints."""
