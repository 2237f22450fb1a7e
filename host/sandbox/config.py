"""Limits of one plugin, and the settings of the sandbox, read by the worker pool and the doctor."""

from dataclasses import dataclass

from host.config.sandbox import Confinement, SandboxConfig

__all__ = ["MEBIBYTE", "Confinement", "Limits", "SandboxConfig"]

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """What one plugin may use; a manifest lowers or raises these, a `SandboxConfig` caps them."""

    memory_bytes: int = 128 * MEBIBYTE
    """Address space on top of a blank worker's own, in bytes."""

    frame_bytes: int = MEBIBYTE
    """Largest single message either way, in bytes."""

    call_bytes: int = 16 * MEBIBYTE
    """All messages from the plugin during one call, in bytes."""

    output_bytes: int = 64 * 1024
    """What `print` may produce in one call, in bytes; the rest is cut off and said so."""

    notes: int = 1000
    """`host.log` and `host.progress` messages in one call."""

    requests: int = 1000
    """Brokered calls in one call."""

    concurrency: int = 16
    """Brokered calls under way at once."""
