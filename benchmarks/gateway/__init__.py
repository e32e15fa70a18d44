"""What the data plane costs beside other gateways: `make bench-gateway`, `make bench-gateway ARGS=--peers`.

Law: only CPU time as the operating system counts it is compared, and only within one run that takes turns.
"""
