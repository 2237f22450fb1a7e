"""An attempt as JSON and back: kept beside an approval, so that edited arguments can be judged."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from host.domain.jsonrpc import Json
from host.domain.principal import Principal
from host.policy.attempt import Attempt
from host.policy.path import Ground

_PLAIN = ("method", "name", "server", "tool", "package", "trusted", "agent", "face", "session")


def describe_attempt(
    attempt: Attempt, *, folder: Path | None = None, policies: Iterable[Path] = ()
) -> Json:
    """Return all of an attempt but its arguments and its time.

    Args:
        attempt: The attempt.
        folder: The client's working folder, whose policy takes part.
        policies: Those of the agents on whose behalf it is made.
    """
    ground, principal = attempt.ground, attempt.principal
    return {
        **{name: getattr(attempt, name) for name in _PLAIN},
        "folder": None if folder is None else str(folder),
        "policies": [str(file) for file in policies],
        "annotations": dict(attempt.annotations),
        "labels": sorted(attempt.labels),
        "taint": sorted(attempt.taint),
        "principal": {
            "user": principal.user,
            "client": principal.client,
            "role": principal.role,
            "attended": principal.attended,
            "scopes": sorted(principal.scopes),
        },
        "ground": {
            "local": ground.local,
            "bases": [str(base) for base in ground.bases],
            "home": None if ground.home is None else str(ground.home),
        },
    }


def rebuild_attempt(context: Json, arguments: Json) -> Attempt:
    """Return the attempt that a description is of, with other arguments, now."""
    principal, ground = context["principal"], context["ground"]
    return Attempt(
        **{name: context[name] for name in _PLAIN},
        annotations=context["annotations"],
        labels=frozenset(context["labels"]),
        taint=frozenset(context["taint"]),
        principal=Principal(
            principal["user"],
            principal["client"],
            role=principal["role"],
            attended=principal["attended"],
            scopes=frozenset(principal["scopes"]),
        ),
        ground=Ground(
            local=ground["local"],
            bases=tuple(Path(base) for base in ground["bases"]),
            home=None if ground["home"] is None else Path(ground["home"]),
        ),
        arguments=arguments,
        now=datetime.now(UTC).astimezone(),
    )
