"""The record of every call: a local journal first, then PostgreSQL, chained by digests."""
