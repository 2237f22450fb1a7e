"""Values of the headers that mirror a request: plain ASCII as it is, anything else in base64."""

import base64
import binascii
import re

_PLAIN = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_WRAPPED = re.compile(r"=\?base64\?(.*)\?=", re.DOTALL)


def encode_header_value(value: str) -> str:
    """Return the text of a header that carries `value`."""
    if not value or (_PLAIN.fullmatch(value) and not _WRAPPED.fullmatch(value)):
        return value
    return f"=?base64?{base64.b64encode(value.encode()).decode()}?="


def decode_header_value(text: str) -> str | None:
    """Return the value that a header carries; None where its base64 is not the canonical one."""
    wrapped = _WRAPPED.fullmatch(text)
    if wrapped is None:
        return text
    payload = wrapped.group(1)
    try:
        raw = base64.b64decode(payload, validate=True)
        return raw.decode() if base64.b64encode(raw).decode() == payload else None
    except (binascii.Error, UnicodeDecodeError):
        return None
