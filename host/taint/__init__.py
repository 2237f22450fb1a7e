"""What a session has met: labels that follow it, and where the values in its arguments came from."""
