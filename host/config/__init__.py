"""Where the host's files are and what host.yaml says; nothing is imported eagerly here."""
