"""Benchmarks of the memory: how fast at which size, and how well it finds."""
