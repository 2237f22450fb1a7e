"""Web search and pages as Markdown, behind a private-network guard."""
