"""How the host proves itself to an HTTP upstream: headers, bearer token, OAuth 2.1."""
