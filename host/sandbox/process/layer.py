"""The names of the confinement layers, which of them are required, and what each one stops."""

from collections.abc import Mapping

REQUIRED = ("seccomp", "no_new_privs", "rlimits")
"""Without all of these on Linux, plugins do not start unless the operator asks for less."""

STOPS: Mapping[str, str] = {
    "seccomp": "system calls: files, sockets, processes, threads, executable memory",
    "no_new_privs": "gaining rights through set-uid programs",
    "rlimits": "memory, descriptors, files, processes and core dumps beyond the limits",
    "landlock": "files, network ports, abstract sockets and signals, independently of seccomp",
    "pid_namespace": "seeing, signalling or outliving other processes",
    "mount_namespace": "seeing any file at all: the root folder is empty and read-only",
    "network_namespace": "reaching any network: there is not even a loopback interface",
    "ipc_namespace": "sharing System V or POSIX queues and memory with others",
    "uts_namespace": "reading the machine's name",
    "user_namespace": "using any capability against the machine",
    "dropped_uid": "acting with the host's uid (only when the host runs as root)",
    "capabilities": "using any capability at all",
    "undumpable": "being traced, and leaving memory in core dumps",
    "parent_death_signal": "outliving the host",
    "closed_descriptors": "using anything the host had open",
    "cgroup": "holding more memory, tasks or processor time than its share (where delegated)",
    "seatbelt": "files, network and processes (macOS)",
}
"""Layer to what it stops, strongest first."""

ACTIVE = ""
"""What a report holds for a layer that is in force; any other text says why it is not."""
