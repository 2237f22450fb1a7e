"""Makes legal, readable names out of any text: for files, Python, tools and variables."""

import builtins
import keyword
import re
import sys
import unicodedata
from collections.abc import Collection, Iterable

_SPELLED = {"ß": "ss", "æ": "ae", "Æ": "AE", "ø": "o", "Ø": "O", "œ": "oe", "ł": "l", "đ": "d"}
_SOFT = {"self", "cls", "ctx", "print", "type", "match", "case", "_"}
_DEVICES = {"con", "prn", "aux", "nul"} | {f"{k}{n}" for k in ("com", "lpt") for n in range(10)}
_TAKEN = frozenset(
    {"annotated", "any", "cast", "context", "declare", "field", "literal"}
    | {"request", "run", "source", "tool"}
)
"""Names that mean something in modules of tools, whatever they are made from."""
_BUILTINS = frozenset(dir(builtins)) | {"copyright", "credits", "exit", "license", "quit"}
_FILES = frozenset({"conformance", "extras", "server"})
"""Groups whose module or test would be a file that every project, or one with features, has."""
MAX_TOOL = 48
"""Longest name of a tool: with a server's name and `__` it stays within 64 characters mostly."""


def words(text: str) -> list[str]:
    """Return the words of a text in lower case, in ASCII: `getPetID` is `get`, `pet`, `id`."""
    spelled = "".join(_SPELLED.get(letter, letter) for letter in text)
    plain = unicodedata.normalize("NFKD", spelled).encode("ascii", "ignore").decode()
    plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", plain)
    return [word.lower() for word in re.findall(r"[A-Za-z0-9]+", plain)]


def identifier(
    text: str,
    *,
    otherwise: str = "value",
    longest: int = MAX_TOOL,
    reserved: Collection[str] = (),
) -> str:
    """Return a Python identifier in snake case that is neither a keyword nor a builtin's name.

    Args:
        text: Any text, hostile ones included.
        otherwise: The name where the text has no letter or digit of the alphabet.
        longest: Most characters.
        reserved: Names that mean something where this one will stand.
    """
    name = "_".join(words(text)) or otherwise
    if name[0].isdigit():
        name = f"{otherwise}_{name}"
    name = name[:longest].rstrip("_")
    known = (_SOFT, _BUILTINS, _TAKEN, reserved)
    if keyword.iskeyword(name) or any(name in names for names in known):
        name += "_"
    return name


def file_name(text: str, *, otherwise: str = "tools") -> str:
    """Return a module's name that every file system takes."""
    name = identifier(text, otherwise=otherwise, longest=40).rstrip("_")
    return f"{name}_tools" if name in _DEVICES or keyword.iskeyword(name) else name


def group_name(text: str, taken: Iterable[str] = (), *, otherwise: str = "tools") -> str:
    """Return the name of a module of tools: legal as a file, as a name, and that of no other file.

    Args:
        text: Any text.
        taken: Names of other groups.
        otherwise: The name where the text has no letter or digit of the alphabet.
    """
    name = file_name(text, otherwise=otherwise)
    return unique(f"{name}_tools" if name in _BUILTINS or name in _FILES else name, taken)


def in_natural_order(names: Iterable[str]) -> list[str]:
    """Return names as a linter sorts imports: `v2` stands before `v10`."""
    return sorted(
        names,
        key=lambda name: [
            (0, int(part), "") if part.isdigit() else (1, 0, part)
            for part in re.findall(r"\d+|\D", name)
        ],
    )


def unique(name: str, taken: Iterable[str]) -> str:
    """Return the name, with a number where it is taken already, case aside."""
    used = {one.lower() for one in taken}
    found, number = name, 2
    while found.lower() in used:
        found = f"{name.rstrip('_')}_{number}"
        number += 1
    return found


def project_name(text: str) -> str:
    """Return a legal project name: lower case, words joined by `-`."""
    name = "-".join(words(text))[:32].strip("-")
    if not name or name[0].isdigit():
        name = f"server-{name}".strip("-")[:32]
    if name in _DEVICES or name.split("-")[0] in {"host", "agent", "orchestrator"}:
        name = f"my-{name}"[:32].strip("-")
    return f"{name[:25].strip('-')}-server" if is_taken_name(name) else name


def is_taken_name(project: str) -> bool:
    """Return whether a project's name is that of a distribution that it, or its tools, need."""
    plain = project.replace("-", "_")
    return plain in _DISTRIBUTIONS or plain in RESERVED_PACKAGES


def package_name(project: str, *, taken: str = "") -> str:
    """Return the name of the Python package of a project; never that of another module it needs.

    Args:
        project: The project's name.
        taken: A module that the project offers, which its package must not hide.
    """
    name = file_name(project, otherwise="server")
    hides = name in RESERVED_PACKAGES or name == taken.partition(".")[0]
    return f"{name}_server" if hides else name


RESERVED_PACKAGES = frozenset(sys.stdlib_module_names) | frozenset(
    """
    annotated_types anyio attr attrs authlib cachetools certifi cffi click cryptography dns docket
    docstring_parser dotenv email_validator exceptiongroup fastmcp fastmcp_tasks generator h11
    hatchling host httpcore httpcore2 httpx httpx2 idna iniconfig joserfc jsonref jsonschema jwt
    key_value keyring markdown_it mcp mcp_types mdurl multipart mypy openapi_pydantic opentelemetry
    packaging pathable platformdirs pluggy psycopg pydantic pydantic_core pydantic_settings
    pygments pymysql pyperclip pyright pytest python_multipart redis referencing rich rpds ruff
    servers sniffio sqlalchemy src sse_starlette starlette test tests tools typer
    typing_extensions typing_inspection uvicorn watchfiles websockets yaml
    """.split()  # noqa: SIM905 - a list literal would be ninety lines
)
"""Names that would hide a module which a generated project or its tools import."""


_DISTRIBUTIONS = frozenset(
    """
    attrs authlib beartype caio cachetools coverage cyclopts distlib docket exceptiongroup
    fastmcp_slim filelock fsspec griffe griffelib hatch hatchling httpx_sse jsonschema_path
    jsonschema_specifications mcp_types mysql nodeenv openapi_core opentelemetry_api pathspec
    pip pipx poetry psycopg_binary py_key_value_aio pydantic_settings pydocket pyjwt pytest_asyncio
    python python_dotenv python_multipart pyyaml setuptools sortedcontainers sse_starlette tox
    trove_classifiers typing_inspection uncalled_for uv virtualenv wheel
    """.split()  # noqa: SIM905 - a list literal would be ninety lines
)
"""Names on the registry that a project must not have: an installer would take one for the other."""


def title(text: str) -> str:
    """Return words that a person reads: `get_pet_by_id` is `Get pet by id`."""
    joined = " ".join(words(text))
    return joined[:1].upper() + joined[1:]
