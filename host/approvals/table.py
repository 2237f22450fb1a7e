"""The rows of approvals: every transition is one conditional update, so that only one can win."""

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, LiteralString, cast

from host.approvals.approval import Approval, Pass
from host.approvals.call import AskedCall
from host.domain.jsonrpc import Json
from host.storage.store import Database

_LETTERS = "23456789abcdefghjkmnpqrstuvwxyz"
"""Letters of ids, none of which is taken for another."""


def new_id(kind: str) -> str:
    """Return a short id such as `a-7k3f9q2m`; it names something and lets nobody in."""
    return f"{kind}-" + "".join(secrets.choice(_LETTERS) for _ in range(8))


@dataclass(frozen=True, slots=True)
class Runner:
    """Which process makes a call.

    Attributes:
        home: Id of the data folder, of which only one daemon runs at a time.
        boot: Id of this run of the daemon.
    """

    home: str
    boot: str


def approval_of(row: dict[str, Any]) -> Approval:
    """Return the approval that a row is."""
    fields = {
        name: row[name]
        for name in (
            *("id", "client", "agent", "session", "method", "name", "definition", "arguments"),
            *(
                "digest",
                "rule",
                "every_time",
                "destructive",
                "state",
                "created",
                "expires",
                "constrained",
            ),
            *("answered", "approver", "channel", "reason", "edited", "outcome"),
        )
    }
    groups = cast("list[list[str]]", row["approvers"])
    return Approval(
        **fields,
        user=row["user_id"],
        reasons=tuple(row["reasons"]),
        standing=frozenset(row["standing"]),
        approvers=tuple(frozenset(group) for group in groups),
    )


async def insert(
    database: Database, call: AskedCall, *, sealed: str, life: float
) -> dict[str, Any] | None:
    """Ask: add a pending approval; None where one is open for the same call already."""
    from psycopg.types.json import Jsonb  # noqa: PLC0415 - psycopg loads slowly

    return await _one(
        database,
        """
        insert into host.approvals (id, user_id, client, agent, session, method, name, definition,
            arguments, digest, sealed, rule, reasons, approvers, every_time, constrained,
            destructive, expires)
        values (%(id)s, %(user)s, %(client)s, %(agent)s, %(session)s, %(method)s, %(name)s,
            %(definition)s, %(arguments)s, %(digest)s, %(sealed)s, %(rule)s, %(reasons)s,
            %(approvers)s, %(every_time)s, %(constrained)s, %(destructive)s,
            clock_timestamp() + make_interval(secs => %(life)s))
        on conflict (digest) where state in ('pending', 'approved') do nothing
        returning *
        """,
        {
            "id": new_id("a"),
            "user": call.principal.user,
            "client": call.principal.client,
            "agent": call.agent,
            "session": call.session,
            "method": call.method,
            "name": call.name,
            "definition": call.definition,
            "arguments": call.arguments_digest,
            "digest": call.digest,
            "sealed": sealed,
            "rule": call.rule,
            "reasons": list(call.reasons),
            "approvers": Jsonb([sorted(group) for group in call.approvers]),
            "every_time": call.every_time,
            "constrained": call.constrained,
            "destructive": call.destructive,
            "life": life,
        },
    )


async def find(
    database: Database, approval_id: str, *, lock: bool = False
) -> dict[str, Any] | None:
    """Return a row; with `lock` nobody changes it before the transaction ends."""
    text: LiteralString = "select * from host.approvals where id = %(id)s"
    return await _one(database, text + " for update" if lock else text, {"id": approval_id})


async def find_for_call(database: Database, digest: str, *, memory: float) -> dict[str, Any] | None:
    """Return what a call that is made again goes on with.

    First that is an outcome that its caller has not been told of: that nobody knows whether an
    earlier one was made. Then an open approval; then a no that the caller was not told of: an
    answer of the last `memory` seconds, or that nobody answered. The row is locked.
    """
    return await _one(
        database,
        """
        select * from host.approvals where digest = %(digest)s and (
            state in ('pending', 'approved')
            or (not told and state = 'unknown')
            or (not told and state = 'expired' and answered is null)
            or (not told and state = 'denied'
                and answered > clock_timestamp() - make_interval(secs => %(memory)s)))
        order by state = 'unknown' desc, state in ('pending', 'approved') desc, created desc
        limit 1 for update
        """,
        {"digest": digest, "memory": memory},
    )


async def expire(database: Database) -> list[dict[str, Any]]:
    """Let everything expire whose time is over, and return it; its arguments are forgotten."""
    return await _all(
        database,
        """
        update host.approvals set state = 'expired', sealed = null, ended = clock_timestamp()
        where id in (
            select id from host.approvals
            where state in ('pending', 'approved') and expires <= clock_timestamp()
            order by id for update skip locked)
        returning *
        """,
        {},
    )


async def approve(
    database: Database, approval_id: str, given: Json, *, life: float
) -> dict[str, Any] | None:
    """Turn pending → approved; None where it is not pending any more, or is another call.

    Args:
        database: In a transaction.
        approval_id: Which.
        given: `digest`, `approver`, `standing`, `channel`, `reason`, `edited`, `sealed`.
        life: Seconds for which the call may be made.
    """
    return await _one(
        database,
        """
        update host.approvals set state = 'approved', answered = clock_timestamp(),
            approver = %(approver)s, channel = %(channel)s, reason = %(reason)s,
            edited = %(edited)s, sealed = coalesce(%(sealed)s, sealed), standing = %(standing)s,
            expires = clock_timestamp() + make_interval(secs => %(life)s)
        where id = %(id)s and state = 'pending' and expires > clock_timestamp()
            and digest = %(digest)s
        returning *
        """,
        {**given, "id": approval_id, "life": life},
    )


async def deny(database: Database, approval_id: str, given: Json) -> dict[str, Any] | None:
    """Turn pending → denied; None as for `approve`."""
    return await _one(
        database,
        """
        update host.approvals set state = 'denied', answered = clock_timestamp(), sealed = null,
            approver = %(approver)s, channel = %(channel)s, reason = %(reason)s,
            ended = clock_timestamp()
        where id = %(id)s and state = 'pending' and expires > clock_timestamp()
            and digest = %(digest)s
        returning *
        """,
        {**given, "id": approval_id},
    )


async def withdraw(
    database: Database,
    *,
    approval_id: str | None = None,
    definitions: Collection[str] = (),
    reason: str,
) -> list[dict[str, Any]]:
    """pending, approved → withdrawn: by id, or all that are about some definitions."""
    return await _all(
        database,
        """
        update host.approvals set state = 'withdrawn', sealed = null, ended = clock_timestamp(),
            reason = %(reason)s
        where state in ('pending', 'approved')
            and (id = %(id)s or definition = any(%(definitions)s))
        returning *
        """,
        {"id": approval_id, "definitions": list(definitions), "reason": reason},
    )


async def consume(
    database: Database, approval_id: str, digest: str, runner: Runner
) -> dict[str, Any] | None:
    """Turn approved → consumed, before the call is made; None where somebody else was first.

    The row that is returned still holds the sealed arguments; the table does not.
    """
    return await _one(
        database,
        """
        update host.approvals new set state = 'consumed', sealed = null, home = %(home)s,
            boot = %(boot)s, told = true
        from host.approvals old
        where new.id = %(id)s and old.id = new.id and new.state = 'approved'
            and new.expires > clock_timestamp() and new.digest = %(digest)s
        returning new.*, old.sealed as opened
        """,
        {"id": approval_id, "digest": digest, "home": runner.home, "boot": runner.boot},
    )


async def finish(database: Database, approval_id: str, outcome: str, *, nonce: str | None) -> None:
    """Note how a consumed approval's call ended.

    Args:
        database: In a transaction.
        approval_id: Which.
        outcome: As in the record; `input_required` where the server asks something first.
        nonce: What the next round has to bring; None where there is none.
    """
    await _one(
        database,
        """
        update host.approvals set outcome = %(outcome)s, nonce = %(nonce)s,
            ended = clock_timestamp()
        where id = %(id)s and state = 'consumed' and outcome is null returning id
        """,
        {"id": approval_id, "outcome": outcome, "nonce": nonce},
    )


async def resume_round(
    database: Database, approval_id: str, digest: str, *, nonce: str, runner: Runner
) -> dict[str, Any] | None:
    """Go on with a consumed approval whose server asked something; the nonce is good once."""
    return await _one(
        database,
        """
        update host.approvals set outcome = null, nonce = null, home = %(home)s, boot = %(boot)s
        where id = %(id)s and state = 'consumed' and outcome = 'input_required'
            and nonce = %(nonce)s and digest = %(digest)s returning *
        """,
        {
            "id": approval_id,
            "digest": digest,
            "nonce": nonce,
            "home": runner.home,
            "boot": runner.boot,
        },
    )


async def note_told(database: Database, approval_id: str) -> None:
    """Note that the caller knows how it ended."""
    await _one(
        database,
        "update host.approvals set told = true where id = %(id)s returning id",
        {"id": approval_id},
    )


async def recover(database: Database, runner: Runner) -> list[dict[str, Any]]:
    """Turn consumed → unknown, where the process that made the call is gone without an outcome."""
    rows = await _all(
        database,
        """
        update host.approvals set state = 'unknown', told = false, ended = clock_timestamp()
        where state = 'consumed' and outcome is null and home = %(home)s and boot <> %(boot)s
        returning *
        """,
        {"home": runner.home, "boot": runner.boot},
    )
    for row in rows:
        await _all(
            database,
            """
            update host.approvals set reasons = reasons || %(reason)s::text
            where state = 'pending' and digest = %(digest)s returning id
            """,
            {"digest": row["digest"], "reason": twice(row["id"])},
        )
    return rows


def twice(approval_id: str) -> str:
    """Return what an approver has to know of an earlier call like the one they are asked about."""
    return f"The same call was cut off as {approval_id}; if it took effect, a yes makes it twice."


async def find_unknown(database: Database, digest: str) -> str | None:
    """Return the approval of the last such call of which nobody knows how it ended."""
    row = await _one(
        database,
        """
        select id from host.approvals where digest = %(digest)s and state = 'unknown'
        order by created desc limit 1
        """,
        {"digest": digest},
    )
    return None if row is None else row["id"]


async def pending(database: Database, approval_ids: Collection[str]) -> list[str]:
    """Return the ids of those of some approvals that wait for an answer."""
    rows = await _all(
        database,
        "select id from host.approvals where state = 'pending' and id = any(%(ids)s)",
        {"ids": list(approval_ids)},
    )
    return [str(row["id"]) for row in rows]


async def list_rows(database: Database, *, every: bool, most: int) -> list[dict[str, Any]]:
    """Return the approvals that wait, oldest first; or the latest of all."""
    rows = await _all(
        database,
        """
        select * from host.approvals where %(every)s or state in ('pending', 'approved')
        order by created desc limit %(most)s
        """,
        {"every": every, "most": most},
    )
    return list(reversed(rows))


def pass_of(row: dict[str, Any], arguments: Json) -> Pass:
    """Return what a consumed row lets through."""
    return Pass(
        arguments=arguments,
        approval=row["id"],
        approver=row["approver"],
        channel=row["channel"],
        edited=row["edited"] is not None,
    )


async def _one(database: Database, text: LiteralString, values: Json) -> dict[str, Any] | None:
    cursor = await database.execute(text, values)
    return await cursor.fetchone()


async def _all(database: Database, text: LiteralString, values: Json) -> list[dict[str, Any]]:
    cursor = await database.execute(text, values)
    return await cursor.fetchall()
