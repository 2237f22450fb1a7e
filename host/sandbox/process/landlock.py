"""Landlock: takes away every right to files, ports, abstract sockets and foreign signals."""

import ctypes
import os

from host.sandbox.process.kernel import syscall

_CREATE_RULESET = 444
_RESTRICT_SELF = 446
_VERSION_FLAG = 1

# Rights by the version that introduced them, as in the kernel's userspace API for Landlock.
_FILE_RIGHTS = {1: (1 << 13) - 1, 2: 1 << 13, 3: 1 << 14, 5: 1 << 15}
_NETWORK_RIGHTS = {4: 0b11}
_SCOPES = {6: 0b11}


def abi() -> int:
    """Returns the kernel's Landlock version.

    Raises:
        OSError: The kernel has no Landlock, or it is switched off.
    """
    return syscall(_CREATE_RULESET, None, 0, _VERSION_FLAG, what="landlock")


def _handled(rights: dict[int, int], version: int) -> int:
    return sum(bits for since, bits in rights.items() if since <= version)


def deny_all_ruleset() -> int:
    """Returns a file descriptor for rules that handle every right and grant none.

    Raises:
        OSError: The kernel has no Landlock.
    """
    version = abi()
    words = [_handled(_FILE_RIGHTS, version)]
    if version >= 4:
        words.append(_handled(_NETWORK_RIGHTS, version))
    if version >= 6:
        words.append(_handled(_SCOPES, version))
    attributes = (ctypes.c_uint64 * len(words))(*words)
    return syscall(
        _CREATE_RULESET, attributes, ctypes.sizeof(attributes), 0, what="landlock ruleset"
    )


def restrict_self(ruleset: int) -> None:
    """Puts this process under the rules and closes their descriptor; needs no_new_privs.

    Raises:
        OSError: The kernel refused.
    """
    syscall(_RESTRICT_SELF, ruleset, 0, what="landlock restrict")
    os.close(ruleset)
