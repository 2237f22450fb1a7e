"""Who hears of changes: open client sessions and listen streams."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from host.domain.jsonrpc import Json, RequestId
from host.domain.protocol import LISTEN_KINDS, META_SUBSCRIPTION, list_member, object_member
from host.gateway.exchange import Session
from host.gateway.upstream.link import Link
from host.gateway.upstream.listing import CHANGES

UPDATED = "notifications/resources/updated"
TASK_CHANGED = "notifications/tasks"
ACKNOWLEDGED = "notifications/subscriptions/acknowledged"


@dataclass(eq=False, slots=True)
class Listener:
    """One receiver of notices.

    Attributes:
        session: Whose it is.
        send: Queues a notification to the client.
        subscription: The id of its listen request; None for a session of the handshake era.
        kinds: Members of the listen filter that were asked for; None hears every kind.
        uris: Resources it hears of.
        tasks: Tasks it hears of.
    """

    session: Session
    send: Callable[[str, Json | None], None]
    subscription: RequestId | None = None
    kinds: frozenset[str] | None = None
    uris: set[str] = field(default_factory=set[str])
    tasks: set[str] = field(default_factory=set[str])

    def offer(self, method: str, params: Json) -> None:
        """Pass a notice on, if it was asked for."""
        if method == UPDATED:
            if not any(is_under(str(params.get("uri", "")), uri) for uri in self.uris):
                return
        elif method == TASK_CHANGED:
            if params.get("taskId") not in self.tasks:
                return
        elif (
            method in LISTEN_KINDS
            and self.kinds is not None
            and LISTEN_KINDS[method] not in self.kinds
        ):
            return
        if self.subscription is None:
            self.send(method, params or None)
        elif method in (UPDATED, TASK_CHANGED) or method in LISTEN_KINDS:
            meta: Json = {**object_member(params, "_meta"), META_SUBSCRIPTION: self.subscription}
            self.send(method, {**params, "_meta": meta})


class Notices:
    """The set of listeners."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()

    def __iter__(self) -> Iterator[Listener]:
        return iter(list(self._listeners))

    def add(self, listener: Listener) -> None:
        """Start telling a listener."""
        self._listeners.add(listener)

    def remove(self, listener: Listener) -> None:
        """Stop telling a listener."""
        self._listeners.discard(listener)

    def publish(self, method: str, params: Json, *, sessions: Iterable[str] | None = None) -> None:
        """Tell every listener, or only those of some sessions."""
        wanted = None if sessions is None else set(sessions)
        for listener in list(self._listeners):
            if wanted is None or listener.session.id in wanted:
                listener.offer(method, params)

    def uris(self) -> set[str]:
        """Return every resource that somebody hears of."""
        return {uri for listener in self._listeners for uri in listener.uris}


def is_under(uri: str, subscribed: str) -> bool:
    """Whether an update of `uri` is news for a subscriber: the same resource, or one inside it."""
    return uri == subscribed or uri.startswith(subscribed.rstrip("/") + "/")


def tasks_of(method: str, params: Json) -> list[str]:
    """Return the tasks that a notification is news of; those listened for now are, too."""
    if method == TASK_CHANGED:
        return [str(params.get("taskId"))]
    if method == ACKNOWLEDGED:
        ids = list_member(object_member(params, "notifications"), "taskIds")
        return [one for one in ids if isinstance(one, str)]
    return []


def take_notice(notices: Notices, link: Link | None, method: str, params: Json) -> None:
    """Handle a server's notification that belongs to no request, but for those of tasks.

    Args:
        notices: The host's listeners.
        link: The connection it came on, if that is still there.
        method: The notification.
        params: Its parameters.
    """
    if link is not None:
        for list_method in CHANGES.get(method, ()):
            link.listings.drop(list_method)
    if method == ACKNOWLEDGED:
        return
    if method in LISTEN_KINDS or method == UPDATED:
        meta = {k: v for k, v in object_member(params, "_meta").items() if k != META_SUBSCRIPTION}
        rest = {key: value for key, value in params.items() if key != "_meta"}
        notices.publish(method, {**rest, "_meta": meta} if meta else rest)
        return
    users = link.connection.users if link is not None else {}
    if method == "notifications/message":
        for session in list(users.values()):
            if session.wants_log(params.get("level")):
                session.notify(method, params)
        return
    notices.publish(method, params, sessions=list(users))
