"""`python -m servers.search` serves it on stdio, or on HTTP with `--http`."""

from servers.launch import launch

launch("search")
