"""The `host` command line, one module per command group."""
