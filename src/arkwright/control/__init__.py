"""The control plane: admin API, settler, lease keeper, reconciler, snapshot publisher.

Knows nothing about the bytes of a model request.
"""
