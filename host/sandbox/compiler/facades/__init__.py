"""Members of module facades that are made for each plugin instead of taken from the library."""
