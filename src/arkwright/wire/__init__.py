"""Formats of the outside world as pure functions: bytes in, records out.

Knows nothing about sockets, tenants or money.
"""
