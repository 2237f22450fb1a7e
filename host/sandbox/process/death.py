"""Puts the end of a worker into words, for the caller and for the audit."""

import signal

_BY_SIGNAL = {
    signal.SIGSYS: "it made a system call that only an attack makes",
    signal.SIGSEGV: "it crashed (SIGSEGV), most often by recursing without end",
    signal.SIGBUS: "it crashed (SIGBUS)",
    signal.SIGABRT: "its interpreter gave up (SIGABRT), most often for want of memory",
    signal.SIGKILL: "it was killed: by somebody, by the system for want of memory or over its CPU "
    "limit, or by the host because it closed its connection",
    signal.SIGXCPU: "it used up the CPU time of a worker's whole life",
}


def explain(code: int | None) -> str:
    """Says what an exit code means.

    Args:
        code: The exit status, minus the signal's number, or None when nobody could say.
    """
    if code is None:
        return "the sandbox process ended"
    if code >= 0:
        return f"it ended itself with exit status {code}"
    number = signal.Signals(-code)
    return _BY_SIGNAL.get(number, f"it was ended by {number.name}")
