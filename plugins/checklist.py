# /// plugin
# name: checklist
# description: A to-do list that every client of yours shares.
# version: 1.0.0
# capabilities:
#   state: true
# ///
"""A to-do list, kept in the plugin's own state; an example of a plugin in one file."""

from datetime import date


def load():
    return host.state.get("items", [])


@tool
def add(text: str, due: str = "") -> str:
    """Put something on the checklist; due is a day such as 2030-01-31."""
    if due:
        date.fromisoformat(due)
    items = load()
    number = max((item["number"] for item in items), default=0) + 1
    host.state.set("items", [*items, {"number": number, "text": text, "due": due, "done": False}])
    return f"{number}. {text}"


@tool(name="list")
def show(all: bool = False) -> str:
    """Show what is on the checklist, what is due first at the top; all shows what is done too."""
    items = sorted(load(), key=lambda item: (item["due"] or "9", item["number"]))
    lines = [
        f"{'x' if item['done'] else ' '} {item['number']}. {item['text']}"
        + (f" (due {item['due']})" if item["due"] else "")
        for item in items
        if all or not item["done"]
    ]
    return "\n".join(lines) or "Nothing to do."


@tool
def done(number: int) -> str:
    """Tick something off the checklist."""
    items = load()
    if all(item["number"] != number for item in items):
        raise ValueError(f"there is no number {number}")
    host.state.set(
        "items", [item | {"done": item["done"] or item["number"] == number} for item in items]
    )
    return show()
