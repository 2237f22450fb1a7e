import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from host.domain.principal import Principal
from host.policy.attempt import Attempt
from host.policy.decision import Decision
from host.policy.limit import Counters
from host.policy.path import Ground
from host.policy.policy_set import PolicySet
from host.policy.rule import Level
from host.policy.source import Source

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)  # a Wednesday


def attempt(name: str = "files__write", **fields: Any) -> Attempt:
    server, _, tool = name.partition("__")
    ordinary: dict[str, Any] = {
        "method": "tools/call",
        "name": name,
        "principal": Principal("ann", "cursor", attended=True),
        "server": server,
        "tool": tool,
        "arguments": {},
        "session": "s1",
        "now": NOON,
    }
    return Attempt(**(ordinary | fields))


def policy_of(*files: dict[str, Any] | tuple[Level, dict[str, Any]]) -> PolicySet:
    """A policy of files given as Python, each of the user unless a level is given."""
    sources: list[Source] = []
    for number, one in enumerate(files):
        level, content = one if isinstance(one, tuple) else ("user", one)
        file = Path(f"/policies/p{number}.json")
        sources.append(Source(level, file, json.dumps(content).encode()))
    return PolicySet.load(sources)


@dataclass
class Judge:
    """Decides on calls by one rule that is alone."""

    folder: Path
    ground: Ground = field(default_factory=Ground)

    def decide(
        self,
        action: str,
        match: dict[str, Any],
        call: Attempt | None = None,
        *,
        counters: Counters | None = None,
        default: str | None = None,
        excepting: Sequence[dict[str, Any]] = (),
        **rule: Any,
    ) -> Decision:
        # The default is the opposite, so that it shows whether the rule applies.
        other = default or ("deny" if action == "allow" else "allow")
        rules = [{"name": "r", "action": action, "match": match, "except": excepting, **rule}]
        return policy_of({"default": other, "rules": rules}).decide(call or attempt(), counters)

    def applies(self, action: str, match: dict[str, Any], **fields: Any) -> bool:
        fields.setdefault("ground", self.ground)
        return self.decide(action, match, attempt(**fields)).rule is not None

    def argument(self, action: str, matcher: dict[str, Any], value: Any) -> bool:
        """Whether a rule about the argument `x` applies to a value."""
        return self.applies(action, {"arguments": {"/x": matcher}}, arguments={"x": value})


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    return Judge(tmp_path, Ground(bases=(tmp_path / "base",), home=tmp_path / "home"))


@pytest.fixture
def write_policy(tmp_path: Path) -> Callable[..., Path]:
    def write(text: str, name: str = "mine.yaml") -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    return write
