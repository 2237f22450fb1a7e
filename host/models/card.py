"""What is told of a model or a route to whoever looks for one: `host models list` and agents."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What `host models list` shows of a model or route.

    Attributes:
        name: As it is written in an agent.
        provider: Of the model; `route` for a route.
        models: The model ids behind it.
        key: `present`, `absent` or `not needed`.
        input: US dollars for a million tokens read; None: unknown. Of a route, this and what
            follows is of the first of its models that has what it needs.
        output: US dollars for a million tokens written.
        context: Tokens that fit.
        vision: Whether it sees images; None: unknown.
        problem: Why it cannot be asked, whatever keys there are; empty if it can.
    """

    name: str
    provider: str
    models: tuple[str, ...]
    key: str
    input: float | None
    output: float | None
    context: int | None
    vision: bool | None
    problem: str = ""

    def line(self) -> str:
        """Return it in words."""
        behind = f" ({', '.join(self.models)})" if self.models else ""
        if self.problem:
            return f"{self.name}{behind}: {self.problem}"
        price = "" if self.input is None else f", ${self.input:g} in, ${self.output or 0:g} out"
        return f"{self.name}{behind}: key {self.key}{price}"
