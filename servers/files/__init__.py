"""The files server: folders that a model may read, search and change, and nothing beside them."""
