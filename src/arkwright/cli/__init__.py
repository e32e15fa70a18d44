"""The commands people type; a client of the admin API. Knows nothing about SQL."""
