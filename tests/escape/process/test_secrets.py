"""Attempts to find what the host, the zygote or another plugin knows."""
# ruff: noqa: E501 - one program a line reads better than programs cut into pieces

import pytest

from tests.escape.process.arena import Arena, Attempt
from tests.escape.process.check import check_control, check_held

ATTEMPTS = {
    "environment": Attempt(
        'return [name for name in os.environ if name != "LC_CTYPE"]', control=True
    ),
    "environment in C": Attempt(
        r"""
libc.getenv.restype = ctypes.c_char_p
return libc.getenv(b"HOST_TEST_SECRET")
""",
        control=True,
    ),
    "environment block": Attempt(
        'return str(ctypes.c_char_p.in_dll(libc, "environ").value) and os.environ.get("HOST_TEST_SECRET")',
        control=True,
    ),
    "objects of the interpreter": Attempt(r"""
import gc
return [o for o in gc.get_objects() if isinstance(o, dict) and b"HOST_TEST_SECRET" in o]
"""),
    "heap of the process": Attempt(r"""
libc.sbrk.restype = ctypes.c_void_p
top = libc.sbrk(0)
for size in (1 << 20, 4 << 20, 16 << 20):
    if b"hunter2-in-the-" + b"environment" in ctypes.string_at(top - size, size):
        return "found"
"""),
    "stack of the process": Attempt(r"""
here = ctypes.addressof(ctypes.c_long(0))
return b"hunter2-in-the-" + b"environment" in ctypes.string_at(here, 64)
"""),
    "frames above": Attempt(r"""
frame, names = sys._getframe(), []
while frame:
    names += [repr(v) for v in frame.f_locals.values() if "hunter2" in repr(v)[:9999]]
    frame = frame.f_back
return names
"""),
    "modules of the host": Attempt(
        'return [m for m in sys.modules if m.startswith(("host.gateway", "host.secrets", "host.config", "keyring", "psycopg"))]'
    ),
    "arguments of the process": Attempt('return [a for a in sys.argv if "secret" in a]'),
    "secret that is not granted": Attempt('return host.secret("token")'),
    "state that there is none of": Attempt('return host.state.get("x")'),
    "source of other plugins in the interpreter": Attempt(r"""
import gc
return [o for o in gc.get_objects() if isinstance(o, str) and "neighbour" in o and len(o) > 300]
"""),
}


@pytest.mark.parametrize("name", ATTEMPTS)
def test_secrets_attempt_fails_in_a_confined_worker(arena: Arena, name: str):
    check_held(arena, ATTEMPTS[name])


@pytest.mark.parametrize("name", [name for name, attempt in ATTEMPTS.items() if attempt.control])
def test_secrets_attempt_succeeds_outside(name: str):
    check_control(ATTEMPTS[name])
