"""Where spans go: an OpenTelemetry SDK set up by the configuration and the OTEL_ variables."""

import sys
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from host import __version__
from host.config.environment import TelemetryVariables
from host.config.settings import TelemetryConfig
from host.domain.errors import ConfigError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.sdk.trace.sampling import Sampler

    from host.telemetry.tracing import Tracing

Redact = Callable[[str], str]
ShowContent = Callable[[object], str]

SERVICE = "mcp-agent-host"
"""Name of the host in traces, where nobody gives it another."""

FLUSH = 2.0
"""Seconds that the last spans have to reach the collector when the host ends."""


def open_tracing(
    config: TelemetryConfig,
    variables: TelemetryVariables,
    *,
    redact: Redact,
    show: ShowContent,
) -> "Tracing":
    """Return what begins spans that are exported in the background.

    Args:
        config: The `telemetry` section.
        variables: What the OTEL_ variables say.
        redact: Hides secrets in a text.
        show: Makes text of arguments and results; used only with `content`.

    Raises:
        ConfigError: The SDK is not installed, or a variable asks for what it has not.
    """
    from host.telemetry.tracing import Tracing  # noqa: PLC0415 - OpenTelemetry loads slowly

    provider = open_provider(config, variables)
    return Tracing(
        provider,
        redact=redact,
        show=show if config.content else None,
        close=lambda: close_provider(provider),
    )


def open_provider(config: TelemetryConfig, variables: TelemetryVariables) -> "TracerProvider":
    """Return a provider of spans.

    Raises:
        ConfigError: The SDK is not installed, or a variable asks for what it has not.
    """
    try:
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - an optional extra
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError as error:
        raise _missing() from error
    attributes: dict[str, str] = {"service.version": __version__}
    if config.service_name is not None or not variables.named:
        attributes["service.name"] = config.service_name or SERVICE
    exporter = _exporter(config, variables)
    provider = TracerProvider(
        resource=Resource.create(attributes), sampler=_sampler(config), shutdown_on_exit=False
    )
    if exporter is not None:
        provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def close_provider(provider: "TracerProvider") -> None:
    """Send what is left and stop; a collector that does not answer holds nobody up for long."""
    closing = threading.Thread(target=provider.shutdown, daemon=True, name="last spans")
    closing.start()
    closing.join(FLUSH)


def _exporter(config: TelemetryConfig, variables: TelemetryVariables) -> "SpanExporter | None":
    if variables.exporter == "none":
        return None
    if variables.exporter == "console":
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter  # noqa: PLC0415 - the extra

        return ConsoleSpanExporter(out=sys.stderr)
    if variables.exporter != "otlp" or variables.protocol != "http/protobuf":
        raise ConfigError(
            f"Spans cannot be exported by {variables.exporter!r} over {variables.protocol!r}.",
            next_step="Set OTEL_TRACES_EXPORTER to otlp, console or none, and "
            "OTEL_EXPORTER_OTLP_PROTOCOL to http/protobuf.",
        )
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )
    except ImportError as error:
        raise _missing() from error
    endpoint = f"{config.endpoint.rstrip('/')}/v1/traces" if config.endpoint else None
    return OTLPSpanExporter(endpoint=endpoint, headers=_plain(config) or None)


def _plain(config: TelemetryConfig) -> Mapping[str, str]:
    return {name: value.get_secret_value() for name, value in config.headers.items()}


def _sampler(config: TelemetryConfig) -> "Sampler | None":
    """Return the configured sampler; None leaves it to OTEL_TRACES_SAMPLER."""
    if config.sample is None:
        return None
    from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio  # noqa: PLC0415

    return ParentBasedTraceIdRatio(config.sample)


def _missing() -> ConfigError:
    return ConfigError(
        "Spans are to be exported, but the OpenTelemetry SDK is not installed.",
        next_step="Install `mcp-agent-host[otel]`, or set `telemetry: {enabled: false}`.",
    )
