"""Reads a document that a person named on the command line: a file, or an address."""

from pathlib import Path
from urllib.parse import urlsplit

MAX_BYTES = 32_000_000


def read_text(where: str) -> str:
    """Return the text of a file or of what an address answers with.

    Raises:
        ScaffoldError: It cannot be read, or is too large.
    """
    from host.domain.errors import ScaffoldError

    if urlsplit(where).scheme in ("http", "https"):
        return _fetch(where)
    file = Path(where).expanduser()
    try:
        if file.stat().st_size > MAX_BYTES:
            raise ScaffoldError(f"{where} is larger than {MAX_BYTES:,} bytes.")
        return file.read_text("utf-8-sig")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
        raise ScaffoldError(
            f"{where!r} cannot be read: {reason}.",
            next_step="A file or an http(s) address is expected.",
        ) from error


def _fetch(address: str) -> str:
    import httpx

    from host.domain.errors import ScaffoldError

    data = b""
    try:
        with httpx.stream("GET", address, follow_redirects=True, timeout=30) as answer:
            answer.raise_for_status()
            for chunk in answer.iter_bytes():
                data += chunk
                if len(data) > MAX_BYTES:
                    raise ScaffoldError(f"{address} is larger than {MAX_BYTES:,} bytes.")
            return data.decode(answer.encoding or "utf-8", "replace")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ScaffoldError(f"{address} cannot be fetched: {error}.") from error
