"""A session's memory of what it met: labels, and where values came from."""

from collections.abc import Iterable, Sequence
from typing import Any, cast

from host.taint.directory import find_directory
from host.taint.ledger import Ledger, Traced
from host.taint.store import TaintStore

ABOUT_THE_CALL = frozenset({"reads", "egress", "sends", "changes", "destructive", "unknown"})
"""Labels of what a call does; the others are of what comes back."""

_PICTURE = ("blob", "data")
EFFECTS = frozenset({"sends", "changes", "destructive"})


class SessionTaint:
    """What one session has met.

    Labels are known by `key`, which for clients is the principal, so that a new connection does not
    begin clean. Values are known only where the host hears the user, that is, for its own agents
    and workflows; of an IDE's model it sees the calls but not the conversation.

    Args:
        store: Keeps the labels.
        key: Whose they are: a principal's id, or a run.
        ledger: Keeps the values; None where the host does not hear the user.
    """

    def __init__(self, store: TaintStore, key: str, ledger: Ledger | None = None) -> None:
        self._store = store
        self.key = key
        self.ledger = ledger
        self._carriers: dict[str, frozenset[str]] = {}

    @property
    def labels(self) -> frozenset[str]:
        """The labels that were met.

        Raises:
            TaintError: They cannot be read, so nothing may be decided.
        """
        return self._store.labels(self.key)

    def meet(self, labels: Iterable[str], *, source: str) -> None:
        """Keep that a call was made whose output has labels.

        It is told before the call is made, and not when the result comes: progress, log lines,
        questions and errors of the server reach the caller earlier.

        Raises:
            TaintError: It cannot be kept, so the call must not be made.
        """
        self._store.add(self.key, frozenset(labels) - ABOUT_THE_CALL, source=source)

    def say(self, text: str) -> None:
        """Keep what the user said; an approval is not that, since it is for one call."""
        if self.ledger is not None:
            self.ledger.say(text)

    def doubt(self) -> None:
        """Take it that results were read which are not known here, as in an earlier run."""
        if self.ledger is not None:
            self.ledger.doubt()

    def reached(
        self,
        result: Any,  # noqa: ANN401 - any JSON
        labels: Iterable[str],
        *,
        server: str,
        arguments: Any = None,  # noqa: ANN401 - any JSON
    ) -> None:
        """Keep the values of a result that reaches the caller.

        A result may repeat the call's arguments, and a server may return later what it was given.
        So a result is not trusted where something in the arguments was not the user's or trusted,
        and neither is what the server says from then on if the call may have left that there.

        Args:
            result: The result.
            labels: Labels of the call.
            server: Who was called.
            arguments: With which arguments.
        """
        if self.ledger is None:
            return
        given = frozenset(labels)
        traced = self.ledger.trace(arguments)
        rubbed = self._doubts(self.ledger, traced)
        carried = self._carriers.get(server, frozenset())
        if given & EFFECTS and rubbed:
            self._carriers[server] = carried = carried | rubbed
        if not given & {"untrusted", "private"}:
            carried |= rubbed
        own = "reads" in given and not given & {"untrusted", "egress"}
        lists = "reads" in given and "egress" not in given
        self.ledger.read(
            "\n".join(texts(result)),
            given | carried,
            server=server,
            directory=find_directory(result) if lists else None,
            referred=own and not carried and _all_said(traced),
        )

    def child(self, key: str, *, heard: bool = False) -> "SessionTaint":
        """Return the session of a run that this one starts, which begins with what this has met.

        The two share what was said and read: the task that a model writes for a child is not the
        user's word. Calling it again with the same key, as after a crash, continues the child.

        Args:
            key: The run's.
            heard: Whether it is the user who starts the run, so that what they say is heard from
                here on, where it was not before.

        Raises:
            TaintError: It cannot be kept.
        """
        ledger = Ledger() if heard and self.ledger is None else self.ledger
        child = SessionTaint(self._store, key, ledger)
        child._carriers = self._carriers
        self._store.add(key, self.labels, source=f"inherited from {self.key}")
        return child

    def merge(self, child: "SessionTaint") -> None:
        """Take over what a child has met; it is told before the child's result is handed out.

        Raises:
            TaintError: It cannot be kept, so the result must not be handed out.
        """
        self._store.add(self.key, child.labels, source=child.key)

    def end(self) -> None:
        """Forget a run that is over and was merged.

        Raises:
            TaintError: It cannot be written.
        """
        self._store.clear(self.key, by="the run is over")

    def _doubts(self, ledger: Ledger, given: Iterable[Traced]) -> frozenset[str]:
        """Return the labels of what in some arguments is neither the user's nor trusted.

        An address that was seen nowhere may be a stranger's in disguise, and counts so from now on.
        """
        found: set[str] = set()
        for traced in given:
            if "unknown" in traced.origins:
                found.add("untrusted")
                ledger.read(traced.text, ["untrusted"])
            elif not traced.origins & {"user", "trusted", "composed"}:
                found |= traced.origins & {"private", "untrusted"}
        return frozenset(found)


def _all_said(given: Sequence[Traced]) -> bool:
    """Whether the user said everything that a question was asked with, and nobody else did."""
    return bool(given) and all(
        "user" in one.origins and "untrusted" not in one.origins for one in given
    )


def texts(value: Any) -> list[str]:  # noqa: ANN401 - any JSON
    """Return the texts and numbers in some JSON, names of members included, pictures left out."""
    found: list[str] = []
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            found.append(one)
        elif isinstance(one, dict):
            members = cast("dict[str, Any]", one)
            found += members
            if "mimeType" in members:
                waiting.extend(item for name, item in members.items() if name not in _PICTURE)
            else:
                waiting.extend(members.values())
        elif isinstance(one, list):
            waiting.extend(cast("list[Any]", one))
        elif one is not None and not isinstance(one, bool):
            found.append(str(one))
    return found
