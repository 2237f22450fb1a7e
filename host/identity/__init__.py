"""Who acts: bearer tokens, roles and what a credential is good for."""
