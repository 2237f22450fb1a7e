"""Row-level security and grants, as SQL for migrations: what tables of people's data get."""

from typing import Literal

Right = Literal["select", "insert", "update", "delete"]


def protect_rows(table: str, *, user_column: str = "user_id") -> list[str]:
    """Return statements that show each row only to its user, and all rows to an admin.

    The owner, who migrates and backs up, is given a policy of its own, since the security is
    forced on it as well.

    Args:
        table: The table, with its schema.
        user_column: The column that holds `Principal.user`.
    """
    mine = (
        f"{user_column} = current_setting('host.user', true)"
        " or current_setting('host.role', true) = 'admin'"
    )
    return [
        f"alter table {table} enable row level security",
        f"alter table {table} force row level security",
        f"create policy for_owner on {table} to current_user using (true) with check (true)",
        f"create policy for_principal on {table} to host_app using ({mine}) with check ({mine})",
    ]


def grant_rights(table: str, *rights: Right, to: Literal["app", "audit"] = "app") -> str:
    """Return the statement that gives a role rights on a table."""
    return f"grant {', '.join(rights)} on {table} to host_{to}"
