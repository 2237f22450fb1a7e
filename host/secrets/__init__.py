"""Where secrets rest: the system's keyring, or files that only their owner can read."""
