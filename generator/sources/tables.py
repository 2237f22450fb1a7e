"""The source for a database: its tables are looked at, each becomes a reading tool."""

from collections.abc import Iterable, Sequence
from typing import Any

from generator.errors import GeneratorError
from generator.literal import Code, one_line
from generator.naming import identifier, title, unique
from generator.shape import or_none, shape_of
from generator.sources.choice import check_choice, is_chosen
from generator.spec import Group, Param, Setting, Source, Tool

MAX_TABLES = 60
MAX_COLUMNS = 30
_FAMILIES = {int: "integer", str: "string", bool: "boolean", float: "number"}
_DRIVERS = {
    "sqlite": (),
    "postgresql": ("psycopg[binary]>=3.2",),
    "mysql": ("PyMySQL>=1.1",),
    "mariadb": ("PyMySQL>=1.1",),
}
_SCHEMES = {
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
}


def read_tables(address: str, patterns: Sequence[str] = ()) -> Source:
    """Return the source; nothing is changed in the database.

    Args:
        address: `sqlite:///file.db`, `postgresql://…` or `mysql://…`.
        patterns: Tables that are wanted; all where there are none.

    Raises:
        GeneratorError: It cannot be reached, or has no table that is wanted.
    """
    import sqlalchemy  # noqa: PLC0415 - heavy
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

    scheme, colon, rest = address.partition(":")
    full = f"{_SCHEMES.get(scheme, scheme)}{colon}{rest}"
    try:
        url = sqlalchemy.make_url(full)
        _check_file(url)
        engine = sqlalchemy.create_engine(url)
        with engine.connect() as connection:
            inspector = sqlalchemy.inspect(connection)
            names = sorted([*inspector.get_table_names(), *inspector.get_view_names()])
            wanted = [name for name in names if is_chosen(name, patterns)]
            columns = {n: list(inspector.get_columns(n)) for n in wanted[:MAX_TABLES]}
        engine.dispose()
    except (SQLAlchemyError, ImportError) as error:
        reason = one_line(str(getattr(error, "orig", None) or error), 300)
        raise GeneratorError(f"The database cannot be read: {reason}.") from error
    check_choice(patterns, names, "table")
    if not columns:
        raise GeneratorError("The database has no table.")
    return _source(
        url.get_backend_name(), str(url.database or ""), columns, len(wanted) - MAX_TABLES
    )


def _check_file(url: Any) -> None:  # noqa: ANN401 - SQLAlchemy is imported late
    """Refuse an SQLite file that is not there: connecting would make an empty one."""
    from pathlib import Path  # noqa: PLC0415

    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        raise GeneratorError(f"There is no database file {url.database!r}.")


def _source(backend: str, database: str, columns: dict[str, list[Any]], left: int) -> Source:
    taken: set[str] = set()
    tools: list[Tool] = []
    for table, found in columns.items():
        name = unique(identifier(f"find {table}", otherwise="find", reserved={"find"}), taken)
        taken.add(name)
        tools.append(_tool(name, table, found))
    stem = database.replace("\\", "/").rpartition("/")[2].partition(".")[0] or backend
    example = {"sqlite": "sqlite:////srv/data.db"}.get(backend, f"{backend}://user@localhost/name")
    return Source(
        "database",
        (Group("tables", "Tables", tuple(tools)),),
        settings=(
            Setting("database_url", Code("SecretStr | None"), None, "Address of the database.",
                    required=True, secret=True, example=example),
            Setting("max_rows", Code("int"), 200, "Most rows of one answer.", example="200"),
        ),
        dependencies=("sqlalchemy>=2.0.40", *_DRIVERS.get(backend, ())),
        title=stem,
        description=f"Reads the tables of the database {one_line(stem, 60)}.",
        extra={"schemes": {k: v for k, v in _SCHEMES.items() if v.startswith(backend[:5])}},
        notes=(f"{left} tables were left out; choose some with --only.",) if left > 0 else (),
    )  # fmt: skip


def _tool(name: str, table: str, columns: Iterable[Any]) -> Tool:
    taken = {"limit", "offset", "order_by"}
    params: list[Param] = []
    for column in list(columns)[:MAX_COLUMNS]:
        kind = _kind(column["type"])
        shape = shape_of({"type": kind})
        key = unique(identifier(str(column["name"]), otherwise="column", reserved={"find"}), taken)
        taken.add(key)
        params.append(
            Param(key, str(column["name"]), or_none(shape.annotation), required=False,
                  description=f"Only rows whose {one_line(str(column['name']), 60)} equals this.",
                  place="column", type_name=kind, sample=shape.sample, wrong=[])
        )  # fmt: skip
    limit = shape_of({"type": "integer", "minimum": 1, "maximum": 1000}, indent=4)
    offset = shape_of({"type": "integer", "minimum": 0}, indent=4)
    params += [
        Param("limit", "limit", limit.annotation, required=False, default=50, place="page",
              description="Most rows to return.", type_name="integer", wrong="no number"),
        Param("offset", "offset", offset.annotation, required=False, default=0, place="page",
              description="Rows to pass over; add the limit to go on.", type_name="integer",
              wrong="no number"),
    ]  # fmt: skip
    shown = one_line(table, 60)
    return Tool(
        name,
        title(name),
        f"Find rows of the table {shown}; without conditions, the first ones.",
        tuple(params),
        labels=("private",),
        returns=Code("dict[str, Any]"),
        call={"table": table, "columns": tuple(str(c["name"]) for c in columns)},
    )


def _kind(kind: Any) -> str:  # noqa: ANN401 - SQLAlchemy is imported late
    try:
        return _FAMILIES.get(kind.python_type, "string")
    except NotImplementedError:
        return "string"
