"""One machine: the data directory, its lock, the lease words in shared memory, supervised processes.

Knows nothing about SQL.
"""
