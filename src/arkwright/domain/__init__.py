"""Pure rules: tenancy, catalog, metering, pricing, ledger, leases. Knows nothing about SQL, HTTP or the clock."""
