"""Whether bundled servers would take their settings, for `host config check`."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from host.config.load import LoadedSettings
    from host.domain.errors import ConfigError


def check_bundled(loaded: "LoadedSettings") -> "list[ConfigError]":
    """Return what the bundled servers that are switched on would refuse to start with."""
    return [
        fault
        for name, server in loaded.settings.servers.items()
        if server.bundled is not None and server.enabled
        for fault in _faults(loaded, name, server.bundled)
    ]


def _faults(loaded: "LoadedSettings", name: str, bundled: str) -> "Iterator[ConfigError]":
    from pydantic import ValidationError

    from host.domain.errors import ConfigError
    from servers.launch import load_settings_model

    model = load_settings_model(bundled)
    try:
        model.model_validate(loaded.settings.servers[name].settings)
    except ValidationError as error:
        for fault in error.errors():
            field = ".".join(("servers", name, "settings", *map(str, fault["loc"])))
            file, line = _place(loaded, field)
            yield ConfigError(
                f"The bundled server {bundled!r} would not start: {fault['msg']}.",
                file=file,
                line=line,
                field=field,
                next_step=f"Its settings are {', '.join(model.model_fields)}.",
            )


def _place(loaded: "LoadedSettings", field: str) -> tuple[Path | None, int | None]:
    """Return the file and line of a field, or of the nearest one around it that is set."""
    while field:
        for known, place in loaded.places.items():
            if known == field or known.startswith(f"{field}."):
                file, _, line = place.rpartition(":")
                return Path(file), int(line)
        field = field.rpartition(".")[0]
    return None, None
