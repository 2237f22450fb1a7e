"""Lists that the host keeps for its user in private files of the data folder."""

from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from host.domain.errors import ConfigError

Record = TypeVar("Record")


def read_records(
    file: Path, form: TypeAdapter[list[Record]], *, what: str, next_step: str
) -> list[Record]:
    """Return what a file lists; nothing where there is no file.

    Args:
        file: The file.
        form: What its entries look like.
        what: What it is, for errors.
        next_step: What to do where it is damaged.

    Raises:
        ConfigError: It cannot be read, or is damaged; then nothing in it counts.
    """
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ConfigError(f"It cannot be read: {error.strerror}.", file=file) from error
    try:
        return form.validate_json(content)
    except ValidationError:
        raise ConfigError(f"{what} is damaged.", file=file, next_step=next_step) from None
