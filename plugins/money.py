# /// plugin
# name: money
# description: Rules about payments, an evaluator and a hook for reports about them.
# version: 1.0.0
# ///
"""Functions that are no tools: an example of a rule, an evaluator and a hook."""

import re
from datetime import datetime
from decimal import Decimal, InvalidOperation

AMOUNT = re.compile(r"(\d+(?:\.\d\d)?) EUR")


def worth(arguments):
    """Return the amount of a payment; something that is no amount is worth more than anything."""
    try:
        return Decimal(str(arguments.get("amount", 0)))
    except InvalidOperation:
        return Decimal("Infinity")


@rule
def is_large(args: dict) -> bool:
    """Whether a payment is over 1,000, or its amount cannot be read."""
    return worth(args) > 1000


@rule
def is_at_night(now: str) -> bool:
    """Whether it is between ten in the evening and six in the morning."""
    return not 6 <= datetime.fromisoformat(now).hour < 22


@evaluator
def adds_up(output: str, expected: str) -> dict:
    """Whether the amounts in a report add up to what is expected."""
    total = sum((Decimal(found) for found in AMOUNT.findall(output)), Decimal(0))
    return {"score": float(total == Decimal(expected)), "reason": f"they add up to {total}"}


@hook("after")
def hide_accounts(output: str) -> dict:
    """After a step: replaces all but the last four digits of account numbers."""
    return {"value": re.sub(r"\b[A-Z]{2}\d{12,}(?=\d{4}\b)", "…", output)}
