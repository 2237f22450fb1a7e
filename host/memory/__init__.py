"""What agents and people want kept: scoped, typed records, found by words and by meaning."""
