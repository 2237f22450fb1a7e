"""Puts a freshly forked worker under every layer, in the one order in which they all work.

Why this order: the death signal is set again after the uid changes because the change clears it;
capabilities go after the namespaces that need them; limits come before Landlock, which needs no
more descriptors; no_new_privs comes before Landlock and the filter, which both ask for it; the
filter is last because it forbids the calls that install the others. Writing a uid map needs a
dumpable process, so the zygote's namespaces are made long before any of this.
"""

import fcntl
import os
import resource
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from host.sandbox.process import kernel, landlock, seccomp
from host.sandbox.process.layer import ACTIVE

RULESET_FD = seccomp.WIRE_FD + 1
CPU_SECONDS = 3600
"""CPU seconds in a worker's whole life; the wall timer of a call ends it much earlier."""

FIRST_UID = 61184
LAST_UID = 65519
"""Uids that systemd sets aside for short-lived services, and so belong to nobody."""


@dataclass(frozen=True)
class Plan:
    """What the zygote prepared once for all workers.

    Attributes:
        layers: The layers to apply; tests leave some out to see each one hold alone.
        report: What the zygote already knows about namespaces, by layer.
        install_filter: Puts the process under seccomp.
        ruleset: Descriptor of the Landlock rules, or None without Landlock.
        missing: Why a prepared layer could not be prepared.
        memory_bytes: Address space on top of the present one.
        parent: Pid of the zygote as the worker sees it; 0 from inside another pid namespace.
    """

    layers: frozenset[str]
    report: Mapping[str, str]
    install_filter: Callable[[], None] | None
    ruleset: int | None
    memory_bytes: int
    parent: int
    missing: Mapping[str, str] = field(default_factory=dict[str, str])


def prepare(
    layers: frozenset[str], report: Mapping[str, str], *, memory_bytes: int, parent: int
) -> Plan:
    """Does the work that all workers share: assembles the filter, creates the Landlock rules."""
    missing: dict[str, str] = {}
    install, ruleset = None, None
    try:
        install = seccomp.prepare(kernel.machine())
    except OSError as error:
        missing["seccomp"] = str(error)
    try:
        ruleset = landlock.deny_all_ruleset()
    except OSError as error:
        missing["landlock"] = str(error)
    return Plan(layers, report, install, ruleset, memory_bytes, parent, missing)


def fresh_namespaces(layers: frozenset[str]) -> dict[str, str]:
    """Moves this process into namespaces that nobody is in; returns each one's outcome."""
    report: dict[str, str] = {}
    for layer, make in _FRESH.items():
        _apply(report, layer, make, layers=layers)
    return report


def confine(plan: Plan, wire: int, *, number: int, fresh: Mapping[str, str]) -> dict[str, str]:
    """Applies the layers to this process and returns each one's outcome.

    Args:
        plan: What the zygote prepared.
        wire: The socket to the host; it becomes `WIRE_FD`, everything else is closed.
        number: Which worker this is; picks a uid of its own when the zygote is root.
        fresh: The outcome of each namespace that it was born in alone.
    """
    report = {**plan.report, **fresh}

    def apply(layer: str, step: Callable[[], None]) -> None:
        _apply(report, layer, step, layers=plan.layers)

    _close_descriptors(wire, plan.ruleset)
    report["closed_descriptors"] = ACTIVE
    if sys.platform == "linux":
        _linux_layers(apply, plan, number=number)
    return report


def _linux_layers(
    apply: Callable[[str, Callable[[], None]], None], plan: Plan, *, number: int
) -> None:
    apply("parent_death_signal", lambda: die_with_parent(plan.parent))
    if os.geteuid() == 0:
        apply("dropped_uid", lambda: _drop_uid(FIRST_UID + number % (LAST_UID - FIRST_UID)))
        apply("user_namespace", lambda: kernel.unshare(kernel.CLONE_NEWUSER))
        apply("parent_death_signal", lambda: die_with_parent(plan.parent))
    apply("capabilities", kernel.drop_capabilities)
    apply("rlimits", lambda: _limit_resources(plan.memory_bytes))
    apply("undumpable", lambda: _discard(kernel.prctl(kernel.PR_SET_DUMPABLE, 0)))
    apply("no_new_privs", lambda: _discard(kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)))
    apply("landlock", lambda: _restrict(plan))
    apply("seccomp", lambda: _filter(plan))


def _apply(
    report: dict[str, str], layer: str, step: Callable[[], None], *, layers: frozenset[str]
) -> None:
    if layer not in layers:
        report[layer] = "switched off"
        return
    try:
        step()
    except (OSError, ValueError) as error:
        report[layer] = str(error)
    else:
        report[layer] = ACTIVE


def _discard(_: object) -> None:
    """Gives a call with a result the type of a step."""


def _close_descriptors(wire: int, ruleset: int | None) -> None:
    wire = fcntl.fcntl(wire, fcntl.F_DUPFD, 32)  # out of the way of the numbers below
    if ruleset is not None:
        os.dup2(fcntl.fcntl(ruleset, fcntl.F_DUPFD, 32), RULESET_FD)
    os.dup2(wire, seccomp.WIRE_FD)
    os.closerange(RULESET_FD + (ruleset is not None), 1 << 20)


def die_with_parent(parent: int) -> None:
    """Asks for SIGKILL when the parent dies, and ends at once if it already has."""
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)  # the zygote died between the fork and the line above


def _nameless_machine() -> None:
    kernel.unshare(kernel.CLONE_NEWUTS)
    kernel.check(kernel.libc.sethostname(b"plugin", 6), what="sethostname")


_FRESH: Mapping[str, Callable[[], None]] = {
    "network_namespace": lambda: kernel.unshare(kernel.CLONE_NEWNET),
    "ipc_namespace": lambda: kernel.unshare(kernel.CLONE_NEWIPC),
    "uts_namespace": _nameless_machine,
}
"""The namespaces that each worker has alone, besides its pid namespace."""


def _drop_uid(uid: int) -> None:
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def address_space() -> int:
    """Returns the size of this process's address space in bytes; needs /proc."""
    with open("/proc/self/statm", "rb") as statm:  # noqa: PTH123 - no pathlib in the zygote
        return int(statm.read().split()[0]) * resource.getpagesize()


def limit_memory(ceiling: int) -> None:
    """Lowers this process's address space for good; works under the filter too.

    Args:
        ceiling: The whole address space, in bytes.
    """
    _lower(resource.RLIMIT_AS, ceiling)


def _lower(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    ceiling = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (ceiling, ceiling))


def _limit_resources(memory_bytes: int) -> None:
    for name, value in {
        "RLIMIT_AS": memory_bytes,
        "RLIMIT_CPU": CPU_SECONDS,
        "RLIMIT_NOFILE": RULESET_FD,
        "RLIMIT_CORE": 0,
        "RLIMIT_FSIZE": 0,
        "RLIMIT_NPROC": 0,
        "RLIMIT_MEMLOCK": 0,
        "RLIMIT_MSGQUEUE": 0,
        "RLIMIT_RTPRIO": 0,
        "RLIMIT_SIGPENDING": 0,
    }.items():
        if hasattr(resource, name):
            _lower(getattr(resource, name), value)


def _restrict(plan: Plan) -> None:
    if plan.ruleset is None:
        raise OSError(plan.missing["landlock"])
    landlock.restrict_self(RULESET_FD)


def _filter(plan: Plan) -> None:
    if plan.install_filter is None:
        raise OSError(plan.missing["seccomp"])
    plan.install_filter()
