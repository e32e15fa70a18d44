"""Plug-in family: accounts elsewhere that serve models, one file a member. Knows nothing about tenants or money."""
