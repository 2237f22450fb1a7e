"""Attempts to reach any network, or any other process through a socket."""

import pytest

from tests.escape.process.arena import Arena, Attempt
from tests.escape.process.check import check_control, check_held

ATTEMPTS = {
    "socket of family 0": Attempt("return call(41, 0, 1, 0) >= 0"),
    "socket of family 2": Attempt("return call(41, 2, 1, 0) >= 0", control=True),
    "socket of family 3": Attempt("return call(41, 3, 5, 0) >= 0"),
    "socket of family 4": Attempt("return call(41, 4, 2, 0) >= 0"),
    "socket of family 5": Attempt("return call(41, 5, 2, 0) >= 0"),
    "socket of family 6": Attempt("return call(41, 6, 5, 0) >= 0"),
    "socket of family 8": Attempt("return call(41, 8, 2, 0) >= 0"),
    "socket of family 9": Attempt("return call(41, 9, 5, 0) >= 0"),
    "socket of family 10": Attempt("return call(41, 10, 2, 0) >= 0"),
    "socket of family 11": Attempt("return call(41, 11, 5, 0) >= 0"),
    "socket of family 15": Attempt("return call(41, 15, 3, 0) >= 0"),
    "socket of family 16": Attempt("return call(41, 16, 3, 0) >= 0"),
    "socket of family 17": Attempt("return call(41, 17, 3, 0) >= 0"),
    "socket of family 20": Attempt("return call(41, 20, 2, 0) >= 0"),
    "socket of family 21": Attempt("return call(41, 21, 5, 0) >= 0"),
    "socket of family 23": Attempt("return call(41, 23, 1, 0) >= 0"),
    "socket of family 24": Attempt("return call(41, 24, 1, 0) >= 0"),
    "socket of family 26": Attempt("return call(41, 26, 2, 0) >= 0"),
    "socket of family 29": Attempt("return call(41, 29, 3, 0) >= 0"),
    "socket of family 30": Attempt("return call(41, 30, 5, 0) >= 0"),
    "socket of family 31": Attempt("return call(41, 31, 1, 0) >= 0"),
    "socket of family 32": Attempt("return call(41, 32, 5, 0) >= 0"),
    "socket of family 35": Attempt("return call(41, 35, 5, 0) >= 0"),
    "socket of family 36": Attempt("return call(41, 36, 2, 0) >= 0"),
    "socket of family 37": Attempt("return call(41, 37, 5, 0) >= 0"),
    "socket of family 38": Attempt("return call(41, 38, 5, 0) >= 0"),
    "socket of family 39": Attempt("return call(41, 39, 5, 0) >= 0"),
    "socket of family 40": Attempt("return call(41, 40, 1, 0) >= 0"),
    "socket of family 41": Attempt("return call(41, 41, 2, 0) >= 0"),
    "socket of family 42": Attempt("return call(41, 42, 2, 0) >= 0"),
    "socket of family 43": Attempt("return call(41, 43, 1, 0) >= 0"),
    "socket of family 44": Attempt("return call(41, 44, 3, 0) >= 0"),
    "socket of family 45": Attempt("return call(41, 45, 5, 0) >= 0"),
    "socket of family 1": Attempt("return call(41, 1, 1, 0) >= 0", control=True),
    "python socket": Attempt("return socket.socket().fileno() >= 0", control=True),
    "socketpair": Attempt("return bool(socket.socketpair())", control=True),
    "connect to loopback": Attempt(r"""
s = socket.create_connection(("127.0.0.1", 22), timeout=1)
return True
"""),
    "resolve a name": Attempt('return socket.getaddrinfo("localhost", 80)', control=True),
    "bind a port": Attempt(
        r"""
s = socket.socket()
s.bind(("127.0.0.1", 0))
return s.getsockname()[1]
""",
        control=True,
    ),
    "abstract socket": Attempt(
        r"""
s = socket.socket(socket.AF_UNIX)
s.bind(f"\0host-escape-{os.getpid()}")
return True
""",
        control=True,
    ),
    "raw packets": Attempt("return socket.socket(socket.AF_PACKET, socket.SOCK_RAW).fileno()"),
    "route messages": Attempt(
        "return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).fileno()", control=True
    ),
    "kernel crypto": Attempt("return socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET).fileno()"),
    "virtual machine socket": Attempt(
        "return socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).fileno()"
    ),
    "send with descriptors": Attempt("return call(46, 3, room(), 0)"),
    "receive with descriptors": Attempt("return call(47, 3, room(), 0x40) >= 0"),
    "sendmmsg": Attempt("return call(307, 3, room(), 1, 0)"),
    "recvmmsg": Attempt("return call(299, 3, room(), 1, 0x40, None)"),
    "sendto over the wire": Attempt('return call(44, 3, b"x", 1, 0, None, 0)'),
    "recvfrom the wire": Attempt("return call(45, 3, room(), 1, 0x40, None, None)"),
    "connect the wire elsewhere": Attempt('return call(42, 3, b"\\x01\\x00/x\\0", 5) == 0'),
    "bind the wire": Attempt('return call(49, 3, b"\\x01\\x00", 2) == 0'),
    "listen on the wire": Attempt("return call(50, 3, 1) == 0"),
    "accept on the wire": Attempt("return call(43, 3, None, None) >= 0"),
    "peer credentials of the wire": Attempt(
        'return call(55, 3, 1, 17, room(), struct.pack("I", 12)) == 0'
    ),
    "buffer size of the wire": Attempt(
        'return call(54, 3, 1, 7, struct.pack("I", 1 << 30), 4) == 0'
    ),
    "name of the wire": Attempt('return call(51, 3, room(), struct.pack("I", 100)) == 0'),
    "shut the wire down for reading": Attempt("return call(48, 3, 0) == 0"),
    "ioctl on the wire": Attempt("return call(16, 3, 0x541B, room()) == 0"),
    "network interfaces": Attempt("return socket.if_nameindex()", control=True),
    "host name": Attempt("return os.uname().nodename", control=True),
    "set host name": Attempt('return call(170, b"x", 1) == 0'),
}


@pytest.mark.parametrize("name", ATTEMPTS)
def test_network_attempt_fails_in_a_confined_worker(arena: Arena, name: str):
    check_held(arena, ATTEMPTS[name])


@pytest.mark.parametrize("name", [name for name, attempt in ATTEMPTS.items() if attempt.control])
def test_network_attempt_succeeds_outside(name: str):
    check_control(ATTEMPTS[name])
