"""Settings of the sandbox and limits of one plugin, read by the worker pool and the doctor."""

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

MEBIBYTE = 1024 * 1024

Confinement = Literal["full", "standard", "reduced"]


class SandboxConfig(BaseModel):
    """The `sandbox:` block of host.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    confinement: Confinement = "standard"
    """What must hold before a plugin runs.

    `full`: every layer. `standard`: the system-call filter, no_new_privs and resource limits, and
    whatever else the kernel offers. `reduced`: whatever there is, even nothing; a plugin can then
    read your files, use your network and change what you can change.
    """

    pool_size: int = Field(default=2, ge=0, le=256)
    """Blank confined workers kept ready; zero forks one when a plugin starts."""

    max_workers: int = Field(default=512, ge=1, le=4096)
    """Plugins that may run at once, over all tenants."""

    max_memory_mb: int = Field(default=512, ge=16)
    """The most memory, in MiB, that any plugin's manifest may ask for."""

    idle_cpu_seconds: float = Field(default=0.25, gt=0)
    """CPU seconds a worker may burn while no call is under way before it is ended."""


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
