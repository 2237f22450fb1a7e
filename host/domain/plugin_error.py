"""What can go wrong with a plugin: the branch of the error tree under `SandboxError`."""

from collections.abc import Iterable, Sequence

from host.domain.host_error import HostError


class SandboxError(HostError):
    """A plugin could not be compiled, confined or run."""


class ConfinementError(SandboxError):
    """This machine offers less confinement than `sandbox.confinement` requires."""


class PluginLoadError(SandboxError):
    """A plugin was rejected by the compiler, or failed while it loaded; no call can be made.

    Args:
        message: The plugin and what is wrong with it.
        findings: One entry for each construct that the compiler rejected; empty otherwise.
    """

    def __init__(self, message: str, *, findings: Iterable[object] = ()) -> None:
        super().__init__(message)
        self.findings = tuple(findings)


class PluginFailedError(SandboxError):
    """A plugin's code raised an exception during a call.

    Args:
        message: The plugin, the function and the exception's own words.
        kind: The exception's type name.
        trace: The plugin's own lines on the way to it, innermost last.
        output: What it printed before.
    """

    def __init__(
        self, message: str, *, kind: str, trace: Iterable[str] = (), output: str = ""
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.trace = tuple(trace)
        self.output = output


class PluginTimeoutError(SandboxError):
    """A plugin did not answer in time; its process was ended."""


class PluginDiedError(SandboxError):
    """A plugin's process ended in the middle of a call; the next call starts a new one."""


class PluginProtocolError(SandboxError):
    """A plugin sent forged, malformed or too many messages; its process was ended."""


class PluginRejectedError(SandboxError):
    """A plugin's source holds something that a plugin may not contain.

    Args:
        plugin: Its name.
        reasons: Each rejected construct with its line, why, and what to write instead.
        findings: The same as structured findings, for `--json`.
    """

    def __init__(
        self, plugin: str, reasons: Sequence[str], *, findings: Sequence[object] = ()
    ) -> None:
        listed = "".join(f"\n  {plugin}:{reason}" for reason in reasons)
        super().__init__(f"Plugin {plugin!r} was rejected by the sandbox's compiler.{listed}")
        self.plugin = plugin
        self.findings = tuple(findings)
