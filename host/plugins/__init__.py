"""User plugins: their manifests, what is installed, and the provider that offers their tools."""
