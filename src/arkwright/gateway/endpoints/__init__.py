"""One file per data-plane endpoint; each is one line in `gateway/router.py`."""
