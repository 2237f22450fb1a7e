"""Keyrings, sealed state and the redaction of secrets."""
