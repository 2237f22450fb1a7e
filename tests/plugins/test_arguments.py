"""What a tool's annotations promise is what its function gets; what does not fit is not called."""

import json
from typing import Any

import pytest

from tests.fakes.gateway_scene import open_scene
from tests.plugins.shop import install

pytestmark = pytest.mark.anyio

CODE = '''
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import NamedTuple

class Level(Enum):
    LOW = "low"
    HIGH = "high"

@dataclass
class Item:
    name: str
    price: Decimal
    due: "date | None" = None
    tags: set[str] = field(default_factory=set)

class Point(NamedTuple):
    x: float
    y: float = 2

@tool
def take(item: Item, level: Level, when: datetime, more: list[Item] = [], at: Point = Point(0),
         by: "dict[str, Level]" = {}, note: str = None) -> str:
    """Takes."""
    return repr((item, level, when.year, more, at, by, note))
'''
GOOD: dict[str, Any] = {
    "item": {"name": "a", "price": 1.5, "due": "2024-01-02", "tags": ["x"]},
    "level": "low",
    "when": "2024-05-06T00:00:00",
    "more": [{"name": "b", "price": "2.50"}],
    "at": {"x": 1},
    "by": {"k": "high"},
    "note": None,
}
WANTED = (
    "(Item(name='a', price=Decimal('1.5'), due=datetime.date(2024, 1, 2), tags={'x'}), "
    "<Level.LOW: 'low'>, 2024, [Item(name='b', price=Decimal('2.50'), due=None, tags=set())], "
    "Point(x=1.0, y=2), {'k': <Level.HIGH: 'high'>}, None)"
)
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "type": ({"item": 5}, "item: 5 is not of type"),
    "member": ({"level": "middle"}, "level: "),
    "missing": ({"item": {"name": "a"}}, "item: "),
    "surplus": ({"colour": "red"}, "colour"),
    "text": ({"when": "today"}, "the argument when does not fit"),
}


async def test_a_tool_gets_the_values_that_its_annotations_name():
    async with open_scene({}) as scene, scene.stateless() as client:
        await install(scene.host, "shop", CODE)
        result = await client.call("shop__take", GOOD)
        assert result["content"][0]["text"] == WANTED


@pytest.mark.parametrize("what", WRONG)
async def test_arguments_that_do_not_fit_are_told_by_name(what: str):
    change, words = WRONG[what]
    async with open_scene({}) as scene, scene.stateless() as client:
        await install(scene.host, "shop", CODE)
        result = await client.call("shop__take", json.loads(json.dumps({**GOOD, **change})))
        assert result["isError"] is True
        assert words in result["content"][0]["text"]
