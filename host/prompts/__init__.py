"""The prompt library: Jinja2 templates with versions named by content."""
