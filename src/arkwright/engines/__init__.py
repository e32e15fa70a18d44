"""Plug-in family: what serves a model on our own machines, one file a member. Knows nothing about tenants or money."""
