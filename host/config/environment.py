"""What the host reads of its environment beside the configuration, and hands on to children."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from host.config.runtime import data_folder
from host.config.settings import StoreConfig, TelemetryConfig
from host.domain.principal import LOCAL_USER

_KEPT = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "TERM", "TMPDIR", "TZ")
_KEPT_ON_WINDOWS = ("SYSTEMROOT", "APPDATA", "LOCALAPPDATA", "USERPROFILE", "TEMP", "PATHEXT")


@dataclass(frozen=True, slots=True)
class TelemetryVariables:
    """What the OTEL_ variables say.

    Attributes:
        exporter: Where spans go: `otlp`, `console` or `none`.
        protocol: How they go there.
        named: Whether they name this service.
    """

    exporter: str
    protocol: str
    named: bool


def child_environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return what a tool server inherits; everything else it needs is in its `env`."""
    kept = _KEPT + (_KEPT_ON_WINDOWS if sys.platform == "win32" else ())
    return {name: environ[name] for name in kept if name in environ}


def wants_telemetry(telemetry: TelemetryConfig, environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether spans are to be exported, by the configuration or the OTEL_ variables."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if telemetry.enabled is not None:
        return telemetry.enabled
    if telemetry.endpoint is not None:
        return True
    named = any(
        environ.get(name)
        for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    )
    return exporter != "none" and (named or bool(exporter))


def telemetry_variables(environ: Mapping[str, str] = os.environ) -> TelemetryVariables:
    """Return what the OTEL_ variables say that the host has to know itself.

    Everything else of them the OpenTelemetry SDK reads.
    """
    protocol = environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or environ.get(
        "OTEL_EXPORTER_OTLP_PROTOCOL"
    )
    return TelemetryVariables(
        exporter=(environ.get("OTEL_TRACES_EXPORTER") or "otlp").strip().lower(),
        protocol=(protocol or "http/protobuf").strip().lower(),
        named="OTEL_SERVICE_NAME" in environ
        or "service.name" in environ.get("OTEL_RESOURCE_ATTRIBUTES", ""),
    )


def database_url(store: StoreConfig, environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the address of the shared database; None means the embedded server."""
    if store.url is not None:
        return store.url.get_secret_value()
    return environ.get("DATABASE_URL") or None


def uses_store(bundled: str | None, settings: Mapping[str, object]) -> bool:
    """Whether a bundled server uses the store: it runs once for every user, and sees their rows.

    Args:
        bundled: Its name; None is a server that is not bundled.
        settings: How it is set.
    """
    return bundled == "memory" or (bundled == "search" and bool(settings.get("documents")))


@dataclass(frozen=True, slots=True)
class StorePlace:
    """Where a bundled server finds the store, and for whom it works.

    Attributes:
        url: The shared database's address; None means the embedded server.
        data: The user's data folder.
        user: Whose rows the server may see.
    """

    url: str | None
    data: Path
    user: str


def store_environment(place: StorePlace) -> dict[str, str]:
    """Return the variables that tell a bundled server where the store is."""
    found = {"HOST_DATA_DIR": str(place.data), "HOST_SERVER_USER": place.user}
    return found if place.url is None else {**found, "DATABASE_URL": place.url}


def child_place(environ: Mapping[str, str] = os.environ) -> StorePlace:
    """Return what `store_environment` told; started by hand, a server is the local user's."""
    return StorePlace(
        environ.get("DATABASE_URL") or None,
        data_folder(environ),
        environ.get("HOST_SERVER_USER") or LOCAL_USER,
    )
