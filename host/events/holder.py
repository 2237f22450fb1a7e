"""Who works on runs: a process, known by a lock that PostgreSQL frees when the process dies."""

import secrets

from host.domain.principal import Principal
from host.storage.line import Line
from host.storage.store import Store

_LOCKS = """
    select (classid::bigint << 32) | objid::bigint from pg_locks
    where locktype = 'advisory' and objsubid = 1 and granted
        and database = (select oid from pg_database where datname = current_database())
"""

HELD = f"(holder is null or holder in ({_LOCKS}))"
"""Whether the process that a row of `host.runs` names may live, in SQL.

One that was killed loses its connections at once. Where the network between a process and its
database broke, its lock stays for a while, and the row's last sign of life tells.
"""

_TAKE = f"""
select pg_try_advisory_lock(%(holder)s)
where %(holder)s not in ({_LOCKS} and pid = pg_backend_pid())
"""

_BITS = 62
"""Of a number that PostgreSQL's locks take, without its sign, and that no two processes draw."""


class Holder:
    """This process, as others know it; it holds its lock on the connection that it writes on.

    The lock stands before the first row that names it, and again before anything is written on a
    connection that replaces a broken one. Whoever took the run up in between has raised its epoch,
    by which this process is refused.

    Args:
        store: The database.
        principal: For whom the connection is.
    """

    def __init__(self, store: Store, principal: Principal) -> None:
        self.id = secrets.randbits(_BITS)
        self.line = Line(store, principal, greeting=(_TAKE, {"holder": self.id}))

    async def hold(self) -> None:
        """Have the lock, unless a broken connection that PostgreSQL still believes in has it.

        Raises:
            StoreError: The store cannot be reached.
        """
        await self.line.fetch(_TAKE, {"holder": self.id})
