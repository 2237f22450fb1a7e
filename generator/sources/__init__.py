"""Sources of servers: each reads what people have into a `Source`."""
