"""Starts a bundled server alone or under the host: settings, flags, stdio or HTTP.

How a server uses it. The package `servers/NAME` has three modules:

* `settings.py` with `class Settings(ServerSettings)`, every field with an attribute docstring;
* `server.py` with `create_server(settings: Settings) -> FastMCP`, which registers its tools
  with the `declare`, `answer` and `RefusalError` of `servers.tool`;
* `__main__.py`, whose whole body is `launch("NAME")`; `launch("NAME", rest="roots")` when
  the positional words of the command line fill the list field `roots`.

Settings come from JSON in the environment variable `HOST_SERVER_SETTINGS` (how the host hands
them over), then `--settings JSON` or `--settings @FILE`, then one flag per field
(`--max-read-bytes 1000`; a value that parses as JSON is taken as JSON, else as text); later
ones win. Wrong settings end with status 2 and one line that names the field.

`--http --port N` serves Streamable HTTP on loopback behind a bearer token, which is
`HOST_SERVER_TOKEN` or is made up and shown on stderr.

With `HOST_SERVER_CONFINE=1`, which the host sets, the server confines itself before it builds
anything: it reaches what `Settings.reach` names, its own program and the system's, and nothing
else of the user's (see `servers.confine`). Where the kernel cannot, it says so and goes on.

`python -m servers.docs NAME` writes `docs/servers/NAME.md` from the server's own answers.
"""

import argparse
import gc
import hmac
import importlib
import json
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import anyio
from pydantic import BaseModel, ConfigDict, ValidationError

from servers.confine import (
    confine,
    landlock_version,
    program_paths,
    refuse_local_sockets,
    system_paths,
)

if TYPE_CHECKING:
    from fastmcp import FastMCP
    from fastmcp.server.auth import TokenVerifier

SETTINGS_VARIABLE = "HOST_SERVER_SETTINGS"
CONFINE_VARIABLE = "HOST_SERVER_CONFINE"
TOKEN_VARIABLE = "HOST_SERVER_TOKEN"  # noqa: S105 - the variable's name, not a token
T = TypeVar("T", bound="ServerSettings")
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class ServerSettings(BaseModel):
    """Base of a bundled server's settings: unknown fields are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    def reach(self) -> "Reach":
        """Return what the server reaches when it is confined."""
        return Reach()

    def prepare_confinement(self) -> None:
        """Do what has to be done before the server confines itself, in one thread."""


@dataclass(frozen=True)
class Reach:
    """What of the machine a confined server has to reach, beside its own program.

    Args:
        read: Folders and files that it reads.
        write: Folders and files that it changes, too.
        made: Those of them that are made first where they are missing.
        local_sockets: Whether it connects to programs on this machine by a socket's path.
        ports: To which TCP connections it makes; None: to any.
    """

    read: tuple[Path, ...] = ()
    write: tuple[Path, ...] = ()
    made: tuple[Path, ...] = ()
    local_sockets: bool = False
    ports: tuple[int, ...] | None = None


class SettingsError(ValueError):
    """Settings are not JSON, or a field is unknown or has a wrong value."""


def launch(name: str, *, rest: str | None = None, argv: Sequence[str] | None = None) -> None:
    """Parse the command line of `python -m servers.NAME` and serve until the client leaves.

    Args:
        name: The package below `servers`.
        rest: The list field of its settings that positional words fill.
        argv: The words after the program's name; `sys.argv` when None.
    """
    # A `.env` in the working folder must not configure the server: folders are strangers.
    os.environ["FASTMCP_ENV_FILE"] = os.devnull
    model = load_settings_model(name)
    options = _parser(name, model, rest).parse_args(argv)
    try:
        settings = read_settings(model, os.environ, vars(options))
        check_binding(options.host)
        if os.environ.get(CONFINE_VARIABLE) == "1":
            confine_server(name, settings, listen=options.port if options.http else None)
        gc.disable()  # what is imported stays, and looking for garbage in it is slow
        server = create_server(name, settings)
        gc.freeze()
        gc.enable()
        _serve(server, options)
    except (SettingsError, OSError) as error:
        sys.stderr.write(f"servers.{name}: {error}\n")
        raise SystemExit(2) from error
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def confine_server(name: str, settings: ServerSettings, *, listen: int | None = None) -> None:
    """Leave this process what its settings name, and tell on stderr what could not be taken away.

    Args:
        name: The package below `servers`.
        settings: Which say what the server reaches.
        listen: The port that it serves; None serves stdio.

    Raises:
        OSError: The kernel can confine and refused to.
    """
    reach = settings.reach()
    for path in reach.made:
        path.expanduser().mkdir(parents=True, exist_ok=True, mode=0o700)
    paths = [path.expanduser().absolute() for path in reach.read]
    changed = [path.expanduser().absolute() for path in reach.write]
    if landlock_version() > 0:
        settings.prepare_confinement()
    held = confine(
        read=[*program_paths(), *system_paths(), *paths],
        write=["/dev/null", *changed],
        ports=reach.ports,
        listen=() if listen is None else (listen,),
    )
    if not held:
        sys.stderr.write(f"servers.{name}: not confined to its folders: no Landlock here.\n")
    if not reach.local_sockets and not refuse_local_sockets():
        sys.stderr.write(f"servers.{name}: not held off local sockets: not on this system.\n")


def load_settings_model(name: str) -> type[ServerSettings]:
    """Import the `Settings` of `servers/NAME/settings.py`."""
    return importlib.import_module(f"servers.{name}.settings").Settings


def create_server(name: str, settings: ServerSettings) -> "FastMCP[Any]":
    """Build the server of the package `servers/NAME`."""
    return importlib.import_module(f"servers.{name}.server").create_server(settings)


def read_settings(model: type[T], environ: Mapping[str, str], flags: Mapping[str, object]) -> T:
    """Merge the environment's JSON, `--settings` and the field flags, later ones winning.

    Args:
        model: The server's settings model.
        environ: Where `HOST_SERVER_SETTINGS` is looked up.
        flags: Parsed flags by field name; None and an empty list mean not given.

    Raises:
        SettingsError: What is wrong, with the name of the field.
    """
    merged = {
        **_parse_object(environ.get(SETTINGS_VARIABLE), SETTINGS_VARIABLE),
        **_parse_object(_text(flags.get("settings")), "--settings"),
        **{k: flags[k] for k in model.model_fields if flags.get(k) not in (None, [])},
    }
    try:
        return model.model_validate(merged)
    except ValidationError as error:
        problems = (
            f"{'.'.join(map(str, p['loc'])) or 'settings'}: {p['msg']}" for p in error.errors()
        )
        known = ", ".join(model.model_fields)
        raise SettingsError(f"{'; '.join(problems)}. Known settings: {known}.") from error


def check_binding(host: str) -> None:
    """Refuse an address that other machines reach: a bundled server has no TLS and one token.

    Raises:
        SettingsError: When `host` is not a loopback address.
    """
    if host not in LOOPBACK:
        raise SettingsError(
            f"will not listen on {host}: other machines could reach it without TLS. "
            f"Use 127.0.0.1, and put the host in front (`host serve`) for remote clients."
        )


def _parser(name: str, model: type[ServerSettings], rest: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(f"python -m servers.{name}", description=model.__doc__)
    parser.add_argument("--http", action="store_true", help="serve HTTP instead of stdio")
    parser.add_argument("--host", default="127.0.0.1", help="loopback address for --http")
    parser.add_argument("--port", type=int, default=8000, help="port for --http")
    parser.add_argument("--no-auth", action="store_true", help="--http without a bearer token")
    parser.add_argument("--log-level", default="warning", help="least level written to stderr")
    parser.add_argument("--settings", metavar="JSON|@FILE", help="settings as one JSON object")
    for field, info in model.model_fields.items():
        summary = (info.description or "").replace("%", "%%")
        if field == rest:
            parser.add_argument(field, nargs="*", help=summary)
        else:
            flag = f"--{field.replace('_', '-')}"
            parser.add_argument(flag, dest=field, type=_value, metavar="VALUE", help=summary)
    return parser


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _text(value: object) -> str | None:
    if not isinstance(value, str) or not value.startswith("@"):
        return cast("str | None", value)
    try:
        return Path(value[1:]).expanduser().read_text("utf-8")
    except OSError as error:
        raise SettingsError(f"--settings {value}: {error.strerror}.") from error


def _parse_object(text: str | None, source: str) -> dict[str, object]:
    if not text:
        return {}
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise SettingsError(f"{source} is not JSON: {error}.") from error
    if not isinstance(value, dict):
        raise SettingsError(f"{source} must be a JSON object, such as {{}}.")
    return cast("dict[str, object]", value)


def _serve(server: "FastMCP[Any]", options: argparse.Namespace) -> None:
    if not options.http:
        run = partial(server.run_async, "stdio", show_banner=False, log_level=options.log_level)
        # A call crosses threads four times; uvloop makes each of them cheaper.
        anyio.run(run, backend_options={"use_uvloop": sys.platform != "win32"})
        return
    server.auth = None if options.no_auth else token_check(_token())
    server.run(
        "http",
        show_banner=False,
        log_level=options.log_level,
        host=options.host,
        port=options.port,
        uvicorn_config={"ws": "none", "access_log": False},
    )


def _token() -> str:
    """The bearer token of this run: the environment's, or a new one shown once on stderr."""
    token = os.environ.get(TOKEN_VARIABLE)
    if token:
        return token
    token = secrets.token_urlsafe(24)
    sys.stderr.write(f"Bearer token of this run ({TOKEN_VARIABLE} sets your own): {token}\n")
    return token


def token_check(expected: str) -> "TokenVerifier":
    """Verify the one bearer token, so that other users of this machine cannot call the server."""
    from fastmcp.server.auth import AccessToken, TokenVerifier  # noqa: PLC0415 - not for stdio
    from typing_extensions import override  # noqa: PLC0415 - with it

    class OneToken(TokenVerifier):
        @override
        async def verify_token(self, token: str) -> AccessToken | None:
            if hmac.compare_digest(token.encode(), expected.encode()):
                return AccessToken(token=token, client_id="bearer", scopes=[])
            return None

    return OneToken()
