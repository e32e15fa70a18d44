"""`make bench`: the platform against its engine alone, and the gateway against the upstream alone.

Benchmarks are not tests: they report, they never fail because something was slow.
"""
