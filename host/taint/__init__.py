"""What a session has met: labels that follow it, and where the values in arguments came from."""
