"""SQL databases, read-only unless the configuration says otherwise."""
