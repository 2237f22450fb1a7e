"""Bearer tokens, one for each client: made, listed, revoked and verified without a database."""

import datetime as dt
import hashlib
import hmac
import secrets
import time
import zlib
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from host.config.document import StrictModel
from host.config.files import Stamp, lock_file, stamp_file, write_private
from host.config.names import check_name
from host.domain.errors import AccessError, ConfigError, NotFoundError
from host.domain.principal import LOCAL_USER, Principal, Role

PREFIX = "host_"
"""Beginning of every token, by which secret scanners and redaction know one."""

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SECRET_LENGTH = 43
_CHECK_LENGTH = 6


class TokenRecord(StrictModel):
    """What is kept of a token; the token itself is nowhere.

    256 random bits cannot be guessed from their digest, so a plain SHA-256 is enough: salt and
    slow hashing protect what people make up.
    """

    name: str
    """Name of the client it was made for; also the principal's client."""
    digest: str
    """SHA-256 of the token, in hexadecimal."""
    user: str = LOCAL_USER
    """Id of the person or service it stands for."""
    role: Role = "user"
    """What it is good for."""
    attended: bool = False
    """Whether a person sits at this client, so that an elicitation counts as their answer."""
    created: dt.datetime
    """When it was made, in UTC."""
    expires: dt.datetime | None = None
    """When it stops being valid; None means never."""
    last_used: dt.datetime | None = None
    """When it was last accepted, to about a minute; None means never."""

    @property
    def principal(self) -> Principal:
        """Who acts when this token is shown."""
        return Principal(user=self.user, client=self.name, role=self.role, attended=self.attended)


_RECORDS = TypeAdapter(list[TokenRecord])


def generate_token() -> str:
    """Return a new token: prefix, 43 random characters (256 bits), 6 characters of checksum."""
    body = "".join(secrets.choice(_ALPHABET) for _ in range(_SECRET_LENGTH))
    return f"{PREFIX}{body}{_checksum(body)}"


def is_token(text: str) -> bool:
    """Tell whether a text has the form of a token, checksum included; whose it is stays open."""
    body, check = text[len(PREFIX) : -_CHECK_LENGTH], text[-_CHECK_LENGTH:]
    return (
        text.startswith(PREFIX)
        and len(body) == _SECRET_LENGTH
        and text.isascii()
        and _checksum(body) == check
    )


def _checksum(body: str) -> str:
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(_CHECK_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits


def digest_token(token: str) -> str:
    """Return what is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


class TokenStore:
    """The tokens of this data folder; every process sees a change at its next look.

    Args:
        file: The private file that holds the records, see `Paths.tokens`.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._stamp: Stamp | None = None
        self._active: dict[str, tuple[TokenRecord, Principal, float]] = {}
        self._used: dict[str, float] = {}

    def create(
        self,
        name: str,
        *,
        user: str = LOCAL_USER,
        role: Role = "user",
        attended: bool = False,
        lifetime: dt.timedelta | None = None,
        replace: bool = False,
    ) -> str:
        """Make a token for a client and return it; it cannot be shown again.

        Args:
            name: Name of the client.
            user: Whom it stands for.
            role: What it is good for.
            attended: Whether a person sits at the client.
            lifetime: How long it is valid; None means until revoked.
            replace: Revoke a token of the same name instead of refusing.

        Raises:
            AccessError: The name is illegal or taken.
            ConfigError: The file cannot be read or written.
        """
        problem = check_name(name)
        if problem:
            raise AccessError(problem)
        token = generate_token()
        now = _now()
        record = TokenRecord(
            name=name,
            digest=digest_token(token),
            user=user,
            role=role,
            attended=attended,
            created=now,
            expires=now + lifetime if lifetime is not None else None,
        )
        with lock_file(self.file):
            records = self.records()
            if not replace and any(one.name == name for one in records):
                raise AccessError(
                    f"There is already a token named {name!r}.",
                    next_step=f"Revoke it with `host tokens revoke {name}`, or choose a name.",
                )
            self._write([*(one for one in records if one.name != name), record])
        return token

    def revoke(self, name: str) -> None:
        """Make a client's token invalid at once, in every process.

        Raises:
            NotFoundError: There is no token of this name.
            ConfigError: The file cannot be read or written.
        """
        with lock_file(self.file):
            records = self.records()
            left = [one for one in records if one.name != name]
            if len(left) == len(records):
                raise NotFoundError("token", name, [one.name for one in records])
            self._write(left)

    def records(self) -> list[TokenRecord]:
        """Return what is kept of each token, by name.

        Raises:
            ConfigError: The file is unreadable or damaged; then no token is valid.
        """
        try:
            return _RECORDS.validate_json(self.file.read_bytes())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ConfigError(f"It cannot be read: {error.strerror}.", file=self.file) from error
        except ValidationError:
            raise ConfigError(
                "The file of tokens is damaged.",
                file=self.file,
                next_step="Delete it, then make new tokens with `host tokens create`.",
            ) from None

    def verify(self, token: str) -> Principal | None:
        """Return whom a token stands for, None if it is not valid (any more).

        The look-up is by SHA-256, whose timing tells nothing about a token that exists, and the
        digests are then compared in constant time.

        Raises:
            ConfigError: The file is unreadable or damaged.
        """
        self._refresh()
        digest = digest_token(token)
        found = self._active.get(digest)
        if found is None:
            return None
        record, principal, expires = found
        now = time.time()
        if not hmac.compare_digest(record.digest, digest) or now >= expires:
            return None
        self._used[record.name] = now
        return principal

    def save_last_used(self) -> None:
        """Write down when each token was last accepted; for the daemon, now and then.

        Raises:
            ConfigError: The file cannot be read or written.
        """
        if not self._used:
            return
        used, self._used = self._used, {}
        with lock_file(self.file):
            self._write([_touch(record, used.get(record.name)) for record in self.records()])

    def _refresh(self) -> None:
        stamp = stamp_file(self.file)
        if stamp is None:
            self._stamp, self._active = None, {}
        elif stamp != self._stamp:
            # The stamp is from before the read: a change in between makes it read once more.
            self._active = {one.digest: (one, one.principal, _end(one)) for one in self.records()}
            self._stamp = stamp

    def _write(self, records: list[TokenRecord]) -> None:
        ordered = sorted(records, key=lambda one: one.name)
        write_private(self.file, _RECORDS.dump_json(ordered, indent=1) + b"\n")


def _end(record: TokenRecord) -> float:
    return record.expires.timestamp() if record.expires else float("inf")


def _touch(record: TokenRecord, used: float | None) -> TokenRecord:
    if used is None:
        return record
    moment = dt.datetime.fromtimestamp(int(used), dt.UTC)
    return record.model_copy(update={"last_used": moment})


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC).replace(microsecond=0)
