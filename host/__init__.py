"""One MCP endpoint behind which every tool call is checked, asked about and recorded.

Nothing is imported here eagerly, so that `host --help` and the stdio bridge start in milliseconds.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from host.orchestrator.embedded import Host

__all__ = ["Host", "__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever is asked for
    """Return `Host`, imported when it is first asked for."""
    if name == "Host":
        from host.orchestrator.embedded import Host  # noqa: PLC0415 - see above

        return Host
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
