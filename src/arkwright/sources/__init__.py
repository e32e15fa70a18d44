"""Plug-in family: where weights come from, one file a member. Knows nothing about engines."""
