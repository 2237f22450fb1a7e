"""The migrations, one file each; each package has its own line of them."""
