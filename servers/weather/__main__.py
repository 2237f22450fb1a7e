"""`python -m servers.weather` serves it on stdio, or on HTTP with `--http`."""

from servers.launch import launch

launch("weather")
