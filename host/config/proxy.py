"""Which proxy the environment names for a URL."""

from urllib.parse import urlsplit


def find_proxy(url: str) -> str | None:
    """Return the proxy's URL, by `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` or the system's own.

    None where the server is spoken to directly.
    """
    from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415 - loads much, used rarely

    parts = urlsplit(url)
    proxies = getproxies()
    found = proxies.get(parts.scheme) or proxies.get("all")
    if not found or proxy_bypass(parts.netloc):
        return None
    return found
