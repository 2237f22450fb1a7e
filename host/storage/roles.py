"""The database's roles and schema, made by a privileged login before the migrations.

`host_owner` owns the tables and migrates; `host_app` does the work, owns nothing and is bound by
row-level security; `host_audit` can only insert records. On a shared server the last two are roles
without a login that the given login switches to.
"""

from typing import LiteralString

import psycopg
from psycopg import sql

from host.domain.errors import StoreError
from host.storage.credentials import Role, role_name

SCHEMA = "host"
DATABASE = "host"

_LOCK = 0x6D61682D726F6C65
"""Key of the advisory lock under which roles and tables are made; the letters of `mah-role`."""

_GRANTS: tuple[LiteralString, ...] = (
    "revoke create on schema public from public",
    "grant usage on schema host to host_app, host_audit",
)

ADMIN_SCRIPT = """create role host_app nologin;
create role host_audit nologin;
grant host_app, host_audit to LOGIN;
create extension if not exists vector;
create schema if not exists host authorization LOGIN;"""
"""What an administrator of a shared server runs once, if the host's login may not."""


def prepare_embedded(
    server: psycopg.Connection, *, passwords: dict[Role, str], database: str = DATABASE
) -> None:
    """Make roles and database on the embedded server.

    Args:
        server: Connected as the superuser to the database `postgres`, in autocommit mode.
        passwords: One for each role.
        database: The database to make.
    """
    for role in ("owner", "app", "audit"):
        _make_login(server, role_name(role), passwords[role])
    found = server.execute("select 1 from pg_database where datname = %s", [database]).fetchone()
    if found is None:
        name = sql.Identifier(database)
        owner = sql.Identifier(role_name("owner"))
        server.execute(sql.SQL("create database {} owner {}").format(name, owner))
        server.execute(sql.SQL("revoke connect on database {} from public").format(name))
        server.execute(
            sql.SQL("grant connect, temporary on database {} to host_app, host_audit").format(name)
        )


def _make_login(server: psycopg.Connection, name: str, password: str) -> None:
    found = server.execute("select 1 from pg_roles where rolname = %s", [name]).fetchone()
    if found is None:
        server.execute(
            sql.SQL("create role {} login nosuperuser nobypassrls password {}").format(
                sql.Identifier(name), sql.Literal(password)
            )
        )


def prepare_schema(database: psycopg.Connection, *, owner: str | None) -> None:
    """Make schema and extension in a database, once.

    Args:
        database: Connected with the right to do so; the transaction is the caller's.
        owner: Whose the schema is to be; None is the login itself.
    """
    database.execute("select pg_advisory_xact_lock(%s)", [_LOCK])
    if _is_prepared(database):
        return
    if owner is None:
        _make_groups(database)
    try:
        database.execute("create extension if not exists vector schema public")
        who = sql.SQL("current_user") if owner is None else sql.Identifier(owner)
        database.execute(sql.SQL("create schema if not exists host authorization {}").format(who))
        for grant in _GRANTS[0 if owner is not None else 1 :]:
            database.execute(grant)
    except psycopg.Error as error:
        raise _not_permitted(database, error) from error


def _is_prepared(database: psycopg.Connection) -> bool:
    row = database.execute(
        "select 1 from pg_extension, pg_namespace, pg_roles where extname = 'vector'"
        " and nspname = 'host' and rolname = 'host_app'"
        " and has_schema_privilege('host_app', pg_namespace.oid, 'usage')"
    ).fetchone()
    return row is not None


def _make_groups(database: psycopg.Connection) -> None:
    """Make the roles that the given login switches to."""
    try:
        for role in ("app", "audit"):
            name = role_name(role)
            known = database.execute("select 1 from pg_roles where rolname = %s", [name]).fetchone()
            if known is None:
                database.execute(
                    sql.SQL("create role {} nologin nosuperuser nobypassrls").format(
                        sql.Identifier(name)
                    )
                )
            row = database.execute("select pg_has_role(current_user, %s, 'set')", [name]).fetchone()
            if row != (True,):
                database.execute(sql.SQL("grant {} to current_user").format(sql.Identifier(name)))
    except psycopg.Error as error:
        raise _not_permitted(database, error) from error


def _not_permitted(database: psycopg.Connection, error: psycopg.Error) -> StoreError:
    script = ADMIN_SCRIPT.replace("LOGIN", database.info.user)
    return StoreError(
        f"The database {database.info.dbname!r} could not be prepared: {error}",
        next_step=f"Let an administrator of that server run this once:\n{script}",
    )
