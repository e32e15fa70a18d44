"""Money, identifiers, clock, errors, settings, paths, log. Knows nothing about tenants, models or HTTP."""
