import pytest

from host.domain.errors import (
    PluginFailedError,
)
from host.sandbox.config import SandboxConfig
from host.sandbox.pool import SandboxPool
from tests.sandbox.process.recording import RecordingBroker

pytestmark = pytest.mark.anyio


REBUILT = """
import json
from dataclasses import dataclass
from functools import wraps

class Odd:
    pass

odd = Odd()
vars(odd)["__reduce_ex__"] = lambda *_: (lambda: json.JSONEncoder, (), (None, {"marked": 1}))

@dataclass
class Pair:
    left: object
    right: object = None

@tool
def pair():
    return Pair(1, [Pair("a"), {"b": Pair(None)}])

@tool
def odd_pair():
    return Pair(1, [odd])

@tool
def marked():
    return "marked" in dir(json.JSONEncoder)

class Text:
    def __get__(self, value, kind=None):
        return self
    def __call__(self):
        return 1

text = Text()
vars(text)["__module__"] = "os"
vars(text)["__text_signature__"] = "($module, leaked=curdir)"
vars(text)["__name__"] = "wrapped"

@tool
@wraps(text)
def wrapped(a: int = 3):
    return a
"""


async def test_values_are_turned_into_json_without_asking_them_how(broker: RecordingBroker):
    async with SandboxPool(SandboxConfig(pool_size=0)) as pool:
        worker = await pool.start(REBUILT, plugin="p", tenant="ann", broker=broker)
        result = await worker.call("pair", {}, timeout=30)
        assert result.value == {
            "left": 1,
            "right": [{"left": "a", "right": None}, {"b": {"left": None, "right": None}}],
        }
        with pytest.raises(PluginFailedError, match="Odd has no JSON form"):
            await worker.call("odd_pair", {}, timeout=30)
        assert (await worker.call("marked", {}, timeout=30)).value is False


async def test_signatures_are_read_off_functions_alone(broker: RecordingBroker):
    async with SandboxPool(SandboxConfig(pool_size=0)) as pool:
        worker = await pool.start(REBUILT, plugin="p", tenant="ann", broker=broker)
        (wrapped,) = [one for one in worker.functions if one.name == "wrapped"]
        assert wrapped.parameters["properties"] == {"a": {"type": "integer", "default": 3}}
