"""The vocabulary that every layer shares, and the error tree; no I/O."""
