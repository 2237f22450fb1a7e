"""The rows of grants: which one answers a call, counted as it is used."""

from collections.abc import Callable, Collection
from typing import Any

from psycopg.types.json import Jsonb

from host.approvals.approval import Approval, may_answer, standing
from host.approvals.call import AskedCall
from host.approvals.grant import Grant, GrantTerms
from host.approvals.table import new_id
from host.domain.jsonrpc import Json
from host.domain.principal import Principal
from host.storage.store import Database

SESSION_LIFE = 86_400.0
"""Seconds after which a grant for a session ends that says no end: the session may be long gone."""

Matches = Callable[[Json, AskedCall], bool]
"""Whether matchers, by JSON pointer, hold for a call; anything unsure is no."""


def grant_of(row: dict[str, Any]) -> Grant:
    """Return the grant that a row is."""
    fields = {name: value for name, value in row.items() if name not in ("user_id", "standing")}
    return Grant(**fields, user=row["user_id"])


async def add(
    database: Database, approval: Approval, terms: GrantTerms, *, by: Principal, destructive: bool
) -> Grant:
    """Add the grant that was given with an approval.

    Args:
        database: In a transaction.
        approval: What was approved.
        terms: What is to be remembered.
        by: Who gives it.
        destructive: Whether the call, as it was approved, may destroy something.
    """
    session = approval.session if terms.scope == "session" else ""
    cursor = await database.execute(
        """
        insert into host.approval_grants (id, user_id, client, scope, session, agent, method, name,
            definition, arguments, matchers, destructive, expires, most, approval, approver,
            standing)
        values (%(id)s, %(user)s, %(client)s, %(scope)s, %(session)s, %(agent)s, %(method)s,
            %(name)s, %(definition)s, %(arguments)s, %(matchers)s, %(destructive)s,
            clock_timestamp() + make_interval(secs => %(expires)s), %(most)s, %(approval)s,
            %(approver)s, %(standing)s)
        returning *
        """,
        {
            "id": new_id("g"),
            "user": approval.user,
            "client": approval.client,
            "scope": terms.scope,
            "session": session,
            "agent": approval.agent,
            "method": approval.method,
            "name": approval.name,
            "definition": approval.definition,
            "arguments": (approval.edited or approval.arguments) if terms.exact else None,
            "matchers": None if terms.matchers is None else Jsonb(terms.matchers),
            "destructive": destructive,
            "expires": SESSION_LIFE if terms.expires is None and session else terms.expires,
            "most": terms.most,
            "approval": approval.id,
            "approver": by.id,
            "standing": sorted(standing(by)),
        },
    )
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 - an insert returns its row
    return grant_of(row)


async def use(database: Database, call: AskedCall, matches: Matches) -> Grant | None:
    """Return the grant that answers a call, its use counted; None where there is none.

    A call that may destroy something is answered only by a grant that was bounded for that.
    """
    if call.every_time:
        return None
    cursor = await database.execute(
        """
        select * from host.approval_grants where user_id = %(user)s and name = %(name)s
            and method = %(method)s and definition = %(definition)s and revoked is null
            and (expires is null or expires > clock_timestamp()) and (most is null or used < most)
            and agent = %(agent)s and (arguments is null or arguments = %(arguments)s)
            and (destructive or not %(destructive)s)
            and (arguments is not null or matchers is not null or not %(constrained)s)
            and (client = %(client)s or scope = 'agent')
            and (scope <> 'session' or session = %(session)s)
        order by created
        """,
        {
            "user": call.principal.user,
            "client": call.principal.client,
            "agent": call.agent,
            "session": call.session,
            "method": call.method,
            "name": call.name,
            "definition": call.definition,
            "arguments": call.arguments_digest,
            "destructive": call.destructive,
            "constrained": call.constrained,
        },
    )
    for row in await cursor.fetchall():
        grant = grant_of(row)
        if not may_answer(call.approvers, frozenset(row["standing"])):
            continue  # the rule has come to want somebody else's word
        if grant.matchers is not None and not matches(grant.matchers, call):
            continue
        if await _count(database, grant.id):
            return grant
    return None


async def _count(database: Database, grant_id: str) -> bool:
    """Count a use; False where another call took the last one, or the grant was revoked."""
    cursor = await database.execute(
        """
        update host.approval_grants set used = used + 1
        where id = %s and revoked is null and (expires is null or expires > clock_timestamp())
            and (most is null or used < most)
        returning id
        """,
        [grant_id],
    )
    return await cursor.fetchone() is not None


async def revoke(
    database: Database, *, grant_id: str | None = None, definitions: Collection[str] = ()
) -> list[Grant]:
    """Revoke a grant, or all that are bound to some definitions."""
    cursor = await database.execute(
        """
        update host.approval_grants set revoked = clock_timestamp()
        where revoked is null and (id = %s or definition = any(%s)) returning *
        """,
        [grant_id, list(definitions)],
    )
    return [grant_of(row) for row in await cursor.fetchall()]


async def list_rows(database: Database, *, every: bool) -> list[Grant]:
    """Return the grants that still hold, or all of them, newest first."""
    cursor = await database.execute(
        """
        select * from host.approval_grants
        where %s or (revoked is null and (expires is null or expires > clock_timestamp())
            and (most is null or used < most))
        order by created desc
        """,
        [every],
    )
    return [grant_of(row) for row in await cursor.fetchall()]
