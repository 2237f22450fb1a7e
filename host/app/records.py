"""What a host writes down, and the spans it exports; each secret is taken out on the way."""

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from host.audit.checkpoint import Checkpoints
from host.audit.journal import Journal
from host.audit.loader import JournalLoader
from host.config.environment import telemetry_variables, wants_telemetry
from host.config.paths import Paths
from host.config.settings import Settings, TelemetryConfig
from host.domain.errors import ConfigError
from host.secrets.redaction import Redactor, dump_json
from host.storage.store import Store

if TYPE_CHECKING:
    from host.telemetry.tracing import Tracing

log = logging.getLogger(__name__)

LOAD_INTERVAL = 2.0
"""Seconds between two loads of the journal into the store; `host audit` reads both."""


@dataclass(frozen=True, slots=True)
class Records:
    """The record of a host.

    Attributes:
        redactor: Hides secrets.
        tracing: Begins spans; None where none are exported.
        journal: Takes each line first.
        checkpoints: Hold the end of the record outside the database.
        loader: Brings the journal into the store.
    """

    redactor: Redactor
    tracing: "Tracing | None"
    journal: Journal
    checkpoints: Checkpoints
    loader: JournalLoader


def open_records(settings: Settings, paths: Paths, store: Store) -> Records:
    """Return the record of a host.

    Raises:
        ConfigError: The configuration asks for spans that cannot be exported.
    """
    redactor = Redactor(
        secrets=settings.secret_values(),
        fields=settings.audit.secret_fields,
        limit=settings.audit.value_bytes,
    )
    tracing = _open_tracing(settings.telemetry, redactor)
    folder, checkpoints = paths.data / "journal", Checkpoints(paths.data)
    loader = JournalLoader(folder, store, interval=LOAD_INTERVAL, checkpoints=checkpoints)
    return Records(redactor, tracing, Journal(folder, redactor), checkpoints, loader)


def _open_tracing(config: TelemetryConfig, redactor: Redactor) -> "Tracing | None":
    """Return what begins spans; None where none are wanted.

    Raises:
        ConfigError: The configuration asks for spans that cannot be exported; where only a
            variable of the whole machine does, a warning has to do.
    """
    if not wants_telemetry(config):
        return None
    from host.telemetry.export import open_tracing  # noqa: PLC0415 - slow, and rarely wanted

    def show(value: object) -> str:
        return redactor.redact_json(dump_json(redactor.capped(value))).decode()

    try:
        return open_tracing(config, telemetry_variables(), redact=redactor.redact_text, show=show)
    except ConfigError as error:
        if config.enabled or config.endpoint is not None:
            raise
        log.warning("no spans are exported: %s", error)
        return None
