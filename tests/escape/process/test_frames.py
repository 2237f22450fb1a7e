"""Forged, malformed and untimely frames on the wire."""
# ruff: noqa: E501 - one program a line reads better than programs cut into pieces

import pytest

from tests.escape.process.arena import Arena, Attempt
from tests.escape.process.check import check_held

ATTEMPTS = {
    "answer to another call": Attempt(r"""
raw(b'{"t":"result","id":999,"value":"forged","out":""}')
os.read(3, 1)
return False
"""),
    "answer to the next call": Attempt(r"""
raw(b'{"t":"result","id":2,"value":"forged","out":""}')
os.read(3, 1)
return False
"""),
    "answer with a negative number": Attempt(r"""
raw(b'{"t":"result","id":-1,"value":1,"out":""}')
os.read(3, 1)
return False
"""),
    "answer with number zero": Attempt(r"""
raw(b'{"t":"result","id":0,"value":1,"out":""}')
os.read(3, 1)
return False
"""),
    "answer with a truth value as number": Attempt(r"""
raw(b'{"t":"result","id":true,"value":1,"out":""}')
os.read(3, 1)
return False
"""),
    "answer with a fraction as number": Attempt(r"""
raw(b'{"t":"result","id":1.0,"value":1,"out":""}')
os.read(3, 1)
return False
"""),
    "answer with text as number": Attempt(r"""
raw(b'{"t":"result","id":"1","value":1,"out":""}')
os.read(3, 1)
return False
"""),
    "answer with a null number": Attempt(r"""
raw(b'{"t":"result","id":null,"value":1,"out":""}')
os.read(3, 1)
return False
"""),
    "answer with a list as number": Attempt(r"""
raw(b'{"t":"result","id":[1],"value":1,"out":""}')
os.read(3, 1)
return False
"""),
    "answer without a number": Attempt(r"""
raw(b'{"t":"result","value":1,"out":""}')
os.read(3, 1)
return False
"""),
    "answer with a surplus field": Attempt(r"""
raw(b'{"t":"result","id":1,"value":1,"out":"","admin":true}')
os.read(3, 1)
return False
"""),
    "answer without output": Attempt(r"""
raw(b'{"t":"result","id":1,"value":1}')
os.read(3, 1)
return False
"""),
    "answer with output of another type": Attempt(r"""
raw(b'{"t":"result","id":1,"value":1,"out":[]}')
os.read(3, 1)
return False
"""),
    "loaded a second time": Attempt(r"""
raw(b'{"t":"loaded","functions":[],"out":""}')
os.read(3, 1)
return False
"""),
    "refused after loading": Attempt(r"""
raw(b'{"t":"refused","kind":"x","message":"x","findings":[]}')
os.read(3, 1)
return False
"""),
    "a second hello": Attempt(r"""
raw(b'{"t":"hello","layers":{}}')
os.read(3, 1)
return False
"""),
    "a frame of the host: call": Attempt(r"""
raw(b'{"t":"call","id":1,"fn":"x","args":{}}')
os.read(3, 1)
return False
"""),
    "a frame of the host: reply": Attempt(r"""
raw(b'{"t":"reply","id":1,"ok":1}')
os.read(3, 1)
return False
"""),
    "a frame of the host: load": Attempt(r"""
raw(b'{"t":"load","source":""}')
os.read(3, 1)
return False
"""),
    "an unknown kind": Attempt(r"""
raw(b'{"t":"sudo"}')
os.read(3, 1)
return False
"""),
    "a kind of another type": Attempt(r"""
raw(b'{"t":["result"]}')
os.read(3, 1)
return False
"""),
    "a kind that is null": Attempt(r"""
raw(b'{"t":null}')
os.read(3, 1)
return False
"""),
    "no kind": Attempt(r"""
raw(b'{}')
os.read(3, 1)
return False
"""),
    "a list": Attempt(r"""
raw(b'[1,2]')
os.read(3, 1)
return False
"""),
    "a number": Attempt(r"""
raw(b'1')
os.read(3, 1)
return False
"""),
    "a string": Attempt(r"""
raw(b'"result"')
os.read(3, 1)
return False
"""),
    "null": Attempt(r"""
raw(b'null')
os.read(3, 1)
return False
"""),
    "nothing but space": Attempt(r"""
raw(b' ')
os.read(3, 1)
return False
"""),
    "half an object": Attempt(r"""
raw(b'{"t":')
os.read(3, 1)
return False
"""),
    "two objects": Attempt(r"""
raw(b'{} {}')
os.read(3, 1)
return False
"""),
    "a NaN": Attempt(r"""
raw(b'{"t":"result","id":1,"value":NaN,"out":""}')
os.read(3, 1)
return False
"""),
    "an infinity": Attempt(r"""
raw(b'{"t":"result","id":1,"value":-Infinity,"out":""}')
os.read(3, 1)
return False
"""),
    "a float beyond all floats": Attempt(r"""
raw(b'{"t":"result","id":1,"value":1e999,"out":""}')
os.read(3, 1)
return False
"""),
    "an integer of a thousand digits": Attempt(r"""
raw(b'{"t":"result","id":1,"value":9999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999,"out":""}')
os.read(3, 1)
return False
"""),
    "a number of an endless fraction": Attempt(r"""
raw(b'{"t":"result","id":1,"value":0.1111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111,"out":""}')
os.read(3, 1)
return False
"""),
    "a lone surrogate": Attempt(r"""
raw(b'{"t":"result","id":1,"value":"\\ud800","out":""}')
os.read(3, 1)
return False
"""),
    "a lone surrogate as a key": Attempt(r"""
raw(b'{"t":"result","id":1,"value":{"\\udfff":1},"out":""}')
os.read(3, 1)
return False
"""),
    "a lone surrogate in a request": Attempt(r"""
raw(b'{"t":"request","id":1,"op":"call_tool","params":{"name":"\\ud800","arguments":{}}}')
os.read(3, 1)
return False
"""),
    "a request with an unknown operation": Attempt(r"""
raw(b'{"t":"request","id":1,"op":"shutdown","params":{}}')
os.read(3, 1)
return False
"""),
    "a request without parameters": Attempt(r"""
raw(b'{"t":"request","id":1,"op":"call_tool","params":{}}')
os.read(3, 1)
return False
"""),
    "a request with a name of another type": Attempt(r"""
raw(b'{"t":"request","id":1,"op":"call_tool","params":{"name":1,"arguments":{}}}')
os.read(3, 1)
return False
"""),
    "a request with arguments of another type": Attempt(r"""
raw(b'{"t":"request","id":1,"op":"call_tool","params":{"name":"a","arguments":[]}}')
os.read(3, 1)
return False
"""),
    "a request with a surplus parameter": Attempt(r"""
raw(b'{"t":"request","id":1,"op":"call_tool","params":{"name":"a","arguments":{},"principal":"root"}}')
os.read(3, 1)
return False
"""),
    "a request with number zero": Attempt(r"""
raw(b'{"t":"request","id":0,"op":"secret","params":{"name":"a"}}')
os.read(3, 1)
return False
"""),
    "a request with a truth value as number": Attempt(r"""
raw(b'{"t":"request","id":true,"op":"secret","params":{"name":"a"}}')
os.read(3, 1)
return False
"""),
    "a log of an unknown level": Attempt(r"""
raw(b'{"t":"log","level":"root","message":"x"}')
os.read(3, 1)
return False
"""),
    "a log of another type": Attempt(r"""
raw(b'{"t":"log","level":"info","message":{}}')
os.read(3, 1)
return False
"""),
    "progress of another type": Attempt(r"""
raw(b'{"t":"progress","done":"1","total":null,"message":""}')
os.read(3, 1)
return False
"""),
    "progress that is a truth value": Attempt(r"""
raw(b'{"t":"progress","done":true,"total":null,"message":""}')
os.read(3, 1)
return False
"""),
    "an error with a trace of another type": Attempt(r"""
raw(b'{"t":"error","id":1,"kind":"x","message":"x","trace":"x","out":""}')
os.read(3, 1)
return False
"""),
    "invalid UTF-8": Attempt(r"""
raw(b"{\"t\":\"\xff\xfe\"}")
os.read(3, 1)
return False
"""),
    "overlong UTF-8": Attempt(r"""
raw(b"{\"t\":\"\xc0\xaf\"}")
os.read(3, 1)
return False
"""),
    "encoded surrogate": Attempt(r"""
raw(b"{\"t\":\"result\",\"id\":1,\"value\":\"\xed\xa0\x80\",\"out\":\"\"}")
os.read(3, 1)
return False
"""),
    "UTF-16": Attempt(r"""
raw("{}".encode("utf-16"))
os.read(3, 1)
return False
"""),
    "byte order mark": Attempt(r"""
raw(b"\xef\xbb\xbf{}")
os.read(3, 1)
return False
"""),
    "pickle": Attempt(r"""
raw(b"\x80\x04cos\nsystem\n(S'true'\ntR.")
os.read(3, 1)
return False
"""),
    "an empty frame": Attempt(r"""
os.write(3, bytes(4))
os.read(3, 1)
return False
"""),
    "four gigabytes announced": Attempt(r"""
os.write(3, b"\xff\xff\xff\xff")
os.read(3, 1)
return False
"""),
    "one byte more than allowed": Attempt(r"""
os.write(3, struct.pack(">I", (1 << 20) + 1))
os.read(3, 1)
return False
"""),
    "half a header and the end": Attempt(r"""
os.write(3, b"\0\0")
os._exit(0)
"""),
    "half a frame and the end": Attempt(r"""
os.write(3, b"\0\0\0\x10{")
os._exit(0)
"""),
    "half a frame for ever": Attempt(
        r"""
os.write(3, b"\0\0\0\x10{")
while True:
    pass
""",
        timeout=0.3,
    ),
    "deep lists": Attempt(r"""
raw(b"{\"t\":\"result\",\"id\":1,\"out\":\"\",\"value\":" + b"[" * 100 + b"]" * 100 + b"}")
os.read(3, 1)
return False
"""),
    "very deep lists": Attempt(r"""
raw(b"[" * 400000)
os.read(3, 1)
return False
"""),
    "very deep objects": Attempt(r"""
raw(b"{\"a\":" * 150000)
os.read(3, 1)
return False
"""),
    "deep arguments of a request": Attempt(r"""
raw(b"{\"t\":\"request\",\"id\":1,\"op\":\"call_tool\",\"params\":{\"name\":\"a\",\"arguments\":" + b"{\"a\":" * 80 + b"1" + b"}" * 80 + b"}}")
os.read(3, 1)
return False
"""),
    "a request number used twice": Attempt(r"""
frame = b"{\"t\":\"request\",\"id\":7,\"op\":\"call_tool\",\"params\":{\"name\":\"a\",\"arguments\":{}}}"
raw(frame)
raw(frame)
while os.read(3, 65536):
    pass
"""),
    "request numbers going down": Attempt(r"""
for n in (9, 8):
    raw(b"{\"t\":\"request\",\"id\":%d,\"op\":\"call_tool\",\"params\":{\"name\":\"a\",\"arguments\":{}}}" % n)
while os.read(3, 65536):
    pass
"""),
    "more requests at once than allowed": Attempt(r"""
for n in range(1, 100):
    raw(b"{\"t\":\"request\",\"id\":%d,\"op\":\"call_tool\",\"params\":{\"name\":\"a\",\"arguments\":{}}}" % n)
while os.read(3, 65536):
    pass
"""),
    "an answer while a request is open": Attempt(r"""
data = b"{\"t\":\"request\",\"id\":1,\"op\":\"call_tool\",\"params\":{\"name\":\"a\",\"arguments\":{}}}"
answer = b"{\"t\":\"result\",\"id\":1,\"value\":\"forged\",\"out\":\"\"}"
pack = lambda b: struct.pack(">I", len(b)) + b
os.write(3, pack(data) + pack(answer))
while os.read(3, 65536):
    pass
"""),
    "frames after the answer": Attempt(r"""
pack = lambda b: struct.pack(">I", len(b)) + b
os.write(3, pack(b"{\"t\":\"result\",\"id\":1,\"value\":null,\"out\":\"\"}") + pack(b"{\"t\":\"log\",\"level\":\"info\",\"message\":\"late\"}"))
while os.read(3, 65536):
    pass
"""),
    "the same answer twice": Attempt(r"""
pack = lambda b: struct.pack(">I", len(b)) + b
os.write(3, 2 * pack(b"{\"t\":\"result\",\"id\":1,\"value\":null,\"out\":\"\"}"))
while os.read(3, 65536):
    pass
"""),
}


@pytest.mark.parametrize("name", ATTEMPTS)
def test_frames_attempt_fails_in_a_confined_worker(arena: Arena, name: str):
    check_held(arena, ATTEMPTS[name])
