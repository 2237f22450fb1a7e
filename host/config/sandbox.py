"""The `sandbox:` and `plugins:` blocks of host.yaml: what confines plugins, and what they get."""

from typing import Literal

from pydantic import Field, SecretStr

from host.config.document import StrictModel

Confinement = Literal["full", "standard", "reduced"]
"""How much must hold before a plugin runs."""


class SandboxConfig(StrictModel):
    """The processes that plugins run in."""

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


class PluginsConfig(StrictModel):
    """Installed plugins and code mode."""

    enabled: bool = True
    """Whether installed plugins are offered; false starts none."""
    secrets: dict[str, SecretStr] = Field(default_factory=dict)
    """Secrets that a manifest may ask for by name, best as `${VARIABLE}`."""
    idle_timeout: float = Field(default=600, gt=0)
    """Seconds after which the process of a plugin that nobody calls is ended."""
    code_mode: bool = False
    """Whether all clients get `host__run_code`; a client that exposes `code` gets it anyway."""
