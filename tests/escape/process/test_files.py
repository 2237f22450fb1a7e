"""Attempts to read, write, list or change any file."""

import pytest

from tests.escape.process.arena import Arena, Attempt
from tests.escape.process.check import check_control, check_held

ATTEMPTS = {
    "builtin open": Attempt('return open("/etc/passwd").read()', control=True),
    "os.open": Attempt('return os.open("/etc/passwd", os.O_RDONLY) > 2', control=True),
    "open system call": Attempt('return call(2, b"/etc/passwd", 0) > 2', control=True),
    "openat system call": Attempt('return call(257, -100, b"/etc/passwd", 0) > 2', control=True),
    "openat2 system call": Attempt(
        'return call(437, -100, b"/etc/passwd", room(24), 24) > 2', control=True
    ),
    "creat": Attempt('return call(85, b"/tmp/host-escape-creat", 0o600) > 2', control=True),
    "write a new file": Attempt(
        'return open("/tmp/host-escape-file", "w").write("x")', control=True
    ),
    "stat": Attempt('return os.stat("/etc/passwd").st_size', control=True),
    "statx": Attempt('return call(332, -100, b"/etc/passwd", 0, 0xfff, room()) == 0', control=True),
    "list the root folder": Attempt('return os.listdir("/")', control=True),
    "scandir": Attempt('return [e.name for e in os.scandir("/")]', control=True),
    "readlink": Attempt('return os.readlink("/proc/self/exe")', control=True),
    "access": Attempt('return os.access("/etc/passwd", os.F_OK)', control=True),
    "getcwd": Attempt("return os.getcwd()", control=True),
    "chdir": Attempt(
        r"""
os.chdir("/etc")
return True
""",
        control=True,
    ),
    "fchdir to the wire": Attempt(r"""
os.fchdir(3)
return True
"""),
    "chroot": Attempt(r"""
call(161, b"/")
return True
"""),
    "mkdir": Attempt(
        r"""
os.mkdir(f"/tmp/host-escape-{os.getpid()}")
return True
""",
        control=True,
    ),
    "unlink": Attempt(
        r"""
open("/tmp/host-escape-u", "w").close()
os.unlink("/tmp/host-escape-u")
return True
""",
        control=True,
    ),
    "unlink without making it first": Attempt(r"""
os.unlink("/tmp/host-escape-file")
return True
"""),
    "rename": Attempt(r"""
os.rename("/tmp/host-escape-file", "/tmp/host-escape-other")
return True
"""),
    "hard link": Attempt(r"""
os.link("/etc/passwd", "/tmp/host-escape-link")
return True
"""),
    "symbolic link": Attempt(
        r"""
os.symlink("/etc/passwd", f"/tmp/host-escape-sym-{os.getpid()}")
return True
""",
        control=True,
    ),
    "chmod": Attempt(r"""
os.chmod("/tmp", 0o777)
return True
"""),
    "chown": Attempt(r"""
os.chown("/tmp", 0, 0)
return True
"""),
    "mknod": Attempt(r"""
os.mknod("/tmp/host-escape-fifo", 0o010600)
return True
"""),
    "truncate": Attempt(r"""
os.truncate("/tmp/host-escape-file", 0)
return True
"""),
    "utime": Attempt(r"""
os.utime("/tmp")
return True
"""),
    "setxattr": Attempt(r"""
os.setxattr("/tmp", "user.x", b"x")
return True
"""),
    "inotify": Attempt("return call(294, 0) > 2", control=True),
    "fanotify": Attempt("return call(300, 0, 0) > 2"),
    "name to handle": Attempt('return call(303, -100, b"/etc/passwd", room(), room(), 0) == 0'),
    "open by handle": Attempt("return call(304, -100, room(), 0) > 2"),
    "statfs": Attempt('return os.statvfs("/").f_blocks', control=True),
    "import from disk": Attempt(
        r"""
import wave
return True
""",
        control=True,
    ),
    "own environment through proc": Attempt(
        'return open("/proc/self/environ","rb").read()', control=True
    ),
    "own maps through proc": Attempt('return open("/proc/self/maps").read()', control=True),
    "own memory through proc": Attempt(
        'return open("/proc/self/mem","rb") is not None', control=True
    ),
    "process 1 through proc": Attempt('return open("/proc/1/environ","rb").read()'),
    "parent root through proc": Attempt(
        'return os.listdir(f"/proc/{os.getppid()}/root")', control=True
    ),
    "descriptor folder": Attempt('return os.listdir("/proc/self/fd")', control=True),
    "standard input": Attempt('return os.write(0, b"") == 0 or os.read(0, 0) == b""'),
    "write to standard output": Attempt('return os.write(1, b"x")', control=True),
    "write to standard error": Attempt('return os.write(2, b"x")', control=True),
    "every inherited descriptor": Attempt(r"""
found = []
for fd in [n for n in range(300) if n != 3]:
    try:
        found.append((fd, os.read(fd, 1)))
    except OSError:
        pass
return found
"""),
    "fstat of descriptors": Attempt("return os.fstat(0).st_mode", control=True),
    "duplicate the wire": Attempt("return os.dup(3) > 3"),
    "fcntl on the wire": Attempt("return call(72, 3, 0, 100) == 100"),
    "pread of the wire": Attempt("return call(17, 3, room(), 1, 0)"),
    "sendfile from the wire": Attempt("return call(40, 3, 3, None, 1)"),
    "splice": Attempt("return call(275, 3, None, 3, None, 1, 0)"),
    "copy file range": Attempt("return call(326, 3, None, 3, None, 1, 0)"),
    "getdents": Attempt("return call(217, 0, room(), 4096)"),
    "memory file": Attempt('return call(319, b"x", 0) > 2', control=True),
    "secret memory file": Attempt("return call(447, 0) > 2"),
    "pipe": Attempt("return os.pipe()[0] > 2", control=True),
    "eventfd": Attempt("return call(290, 0, 0) > 2", control=True),
    "timerfd": Attempt("return call(283, 1, 0) > 2", control=True),
    "signalfd": Attempt("return call(289, -1, room(8), 8, 0) > 2", control=True),
    "epoll": Attempt("return call(291, 0) > 2", control=True),
    "flock": Attempt("return call(73, 3, 2) == 0"),
    "sync": Attempt(r"""
os.sync()
return False
"""),
    "umask": Attempt(r"""
call(95, 0)
return True
"""),
    "terminal device": Attempt('return os.open("/dev/tty", os.O_RDWR)'),
    "random device": Attempt('return open("/dev/urandom","rb").read(1)', control=True),
    "kernel memory device": Attempt('return os.open("/dev/mem", os.O_RDONLY)'),
    "kernel settings": Attempt('return open("/proc/sys/kernel/hostname").read()', control=True),
    "host configuration": Attempt(
        'return open(os.path.expanduser("~/.config/mcp-agent-host/host.yaml")).read()'
    ),
    "ssh keys": Attempt('return os.listdir("/root/.ssh")'),
}


@pytest.mark.parametrize("name", ATTEMPTS)
def test_files_attempt_fails_in_a_confined_worker(arena: Arena, name: str):
    check_held(arena, ATTEMPTS[name])


@pytest.mark.parametrize("name", [name for name, attempt in ATTEMPTS.items() if attempt.control])
def test_files_attempt_succeeds_outside(name: str):
    check_control(ATTEMPTS[name])
