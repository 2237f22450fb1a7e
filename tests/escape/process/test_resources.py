"""Attempts to use up memory, time, descriptors or the host itself."""

import pytest

from tests.escape.process.arena import Arena, Attempt
from tests.escape.process.check import check_control, check_held

ATTEMPTS = {
    "one large allocation": Attempt("return len(bytearray(1 << 30))", control=True),
    "many small allocations": Attempt(
        r"""
kept = []
while True:
    kept.append(bytearray(1 << 20))
""",
        timeout=20,
    ),
    "a list without end": Attempt(
        r"""
kept = [0]
while True:
    kept += kept
""",
        timeout=20,
    ),
    "a string without end": Attempt(
        r"""
text = "x"
while True:
    text += text
""",
        timeout=20,
    ),
    "anonymous mappings": Attempt("return call(9, 0, 1 << 30, 3, 0x22, -1, 0) > 0", control=True),
    "unreserved mappings": Attempt(
        "return call(9, 0, 1 << 36, 0, 0x4022, -1, 0) > 0", control=True
    ),
    "grow a mapping": Attempt(r"""
base = call(9, 0, 4096, 3, 0x22, -1, 0)
return call(25, base, 4096, 1 << 30, 1) > 0
"""),
    "grow the heap": Attempt(r"""
before = call(12, 0)
return call(12, before + (1 << 30)) > before
"""),
    "endless loop": Attempt(
        r"""
while True:
    pass
""",
        timeout=0.3,
    ),
    "endless loop that catches everything": Attempt(
        r"""
while True:
    try:
        while True:
            pass
    except BaseException:
        pass
""",
        timeout=0.3,
    ),
    "huge power": Attempt("return 10 ** 10 ** 9 > 0", timeout=0.5),
    "huge shift": Attempt("return (1 << (1 << 34)) > 0"),
    "huge digits": Attempt("return len(str(7 ** 5000)) > 5000"),
    "huge string": Attempt('return "x" * (1 << 40)'),
    "huge format": Attempt('return len("{:>9999999999}".format(1))'),
    "huge range list": Attempt("return list(range(1 << 40))"),
    "regex backtracking": Attempt(
        r"""
import re
re.match(r"(a+)+$", "a" * 64 + "b")
return True
""",
        timeout=0.5,
    ),
    "recursion": Attempt(r"""
def deeper():
    return deeper()
return deeper()
"""),
    "recursion without a limit": Attempt(r"""
sys.setrecursionlimit(1 << 30)
def deeper(n):
    return [deeper(n + 1)] and repr(n)
return deeper(0)
"""),
    "recursion in C": Attempt(r"""
nested = []
for _ in range(2_000_000):
    nested = [nested]
return nested == nested and repr(nested)
"""),
    "deep source": Attempt('return eval("-" * 1000000 + "1")'),
    "sleep": Attempt(
        r"""
time.sleep(0.01)
return True
""",
        timeout=0.5,
        control=True,
    ),
    "nanosleep": Attempt('return call(35, struct.pack("2q", 0, 1), None) == 0', control=True),
    "wait for input": Attempt(
        r"""
import select
select.select([3], [], [], 60)
return True
""",
        timeout=0.5,
    ),
    "poll": Attempt("return call(7, room(8), 0, 0) == 0", control=True),
    "pause": Attempt("return call(34)"),
    "wait on a futex": Attempt(
        r"""
word = ctypes.c_uint32(0)
call(202, ctypes.byref(word), 0x80, 0, None, None, 0)
return True
""",
        timeout=0.5,
    ),
    "wait for a reply never asked for": Attempt(
        r"""
os.read(3, 1)
return True
""",
        timeout=0.5,
    ),
    "descriptors": Attempt("return [os.dup(3) for _ in range(10000)]"),
    "processes": Attempt(r"""
for _ in range(1000):
    os.fork()
return True
"""),
    "threads": Attempt(r"""
import _thread
for _ in range(1000):
    _thread.start_new_thread(time.sleep, (9,))
return True
"""),
    "print flood": Attempt(
        r"""
for _ in range(300000):
    print("x" * 100)
return False
""",
        timeout=20,
    ),
    "log flood": Attempt(r"""
for _ in range(100000):
    host.log("x")
return True
"""),
    "progress flood": Attempt(r"""
for n in range(100000):
    host.progress(n)
return True
"""),
    "request flood": Attempt(
        r"""
for n in range(5000):
    host.call_tool("a")
return True
""",
        timeout=20,
    ),
    "byte flood": Attempt(
        r"""
block = b"\0" * 65536
while True:
    os.write(3, block)
""",
        timeout=20,
    ),
    "frame flood": Attempt(
        r"""
frame = b"{\"t\":\"log\",\"level\":\"info\",\"message\":\"x\"}"
while True:
    raw(frame)
""",
        timeout=20,
    ),
    "large frame flood": Attempt(
        r"""
text = b"x" * 900000
while True:
    raw(b"{\"t\":\"log\",\"level\":\"info\",\"message\":\"" + text + b"\"}")
""",
        timeout=20,
    ),
    "result larger than a frame": Attempt('return "x" * (2 << 20)'),
    "argument larger than a frame": Attempt('return host.call_tool("a", text="x" * (2 << 20))'),
    "exit": Attempt("os._exit(0)"),
    "system exit": Attempt("raise SystemExit(0)"),
    "interrupt": Attempt("raise KeyboardInterrupt"),
    "abort": Attempt("libc.abort()"),
    "null pointer": Attempt("return ctypes.string_at(0)"),
    "close the wire": Attempt(r"""
os.close(3)
return True
"""),
    "generator that never ends": Attempt(
        r"""
def numbers():
    while True:
        yield 1
return sum(numbers())
""",
        timeout=0.3,
    ),
    "hostile repr of an error": Attempt(r"""
class Bad(Exception):
    def __str__(self):
        while True:
            pass
raise Bad
"""),
    "error without words": Attempt(r"""
class Bad(Exception):
    def __str__(self):
        raise Bad
raise Bad
"""),
    "hash collisions": Attempt(
        r"""
d = {}
for n in range(1 << 30):
    d[n * ((1 << 61) - 1)] = 1
return True
""",
        timeout=0.5,
    ),
}


@pytest.mark.parametrize("name", ATTEMPTS)
def test_resources_attempt_fails_in_a_confined_worker(arena: Arena, name: str):
    check_held(arena, ATTEMPTS[name])


@pytest.mark.parametrize("name", [name for name, attempt in ATTEMPTS.items() if attempt.control])
def test_resources_attempt_succeeds_outside(name: str):
    check_control(ATTEMPTS[name])
