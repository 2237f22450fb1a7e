"""The migrations; `PACKAGE_NNNN.py`, never changed once released."""
