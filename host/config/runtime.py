"""The host's folders and its socket, by the standard library alone, for the stdio bridge too.

The bridge starts once per editor window, so nothing here may import a third-party package. The
same rules as platformdirs apply; a test holds the two together.
"""

import contextlib
import hashlib
import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

APP = "mcp-agent-host"
"""Name of the host's folders."""

SOCKET_BYTES = 100
"""Longest socket path in bytes; the kernels take 104 (macOS) to 108 (Linux) with the final NUL."""

LOG_BYTES = 4_000_000
"""Length of the daemon's log at which the next daemon begins another; one old one is kept."""

_MOVE = "Remove it, or set HOST_RUNTIME_DIR to a folder that only you can enter."


def _refuse(message: str, next_step: str) -> NoReturn:
    # Imported late: the error tree is not needed, nor wanted, where nothing goes wrong.
    from host.domain.errors import ConfigError  # noqa: PLC0415

    raise ConfigError(message, next_step=next_step)


def _home(environ: Mapping[str, str], platform: str) -> Path:
    name = "USERPROFILE" if platform == "win32" else "HOME"
    return Path(environ[name]) if environ.get(name) else Path.home()


def _local_app_data(environ: Mapping[str, str], platform: str) -> Path:
    given = environ.get("LOCALAPPDATA")
    return Path(given) if given else _home(environ, platform) / "AppData" / "Local"


def _folder(xdg: str, fallback: str, *, environ: Mapping[str, str], platform: str) -> Path:
    if platform == "win32":
        return _local_app_data(environ, platform) / APP
    if platform == "darwin":
        return _home(environ, platform) / "Library" / "Application Support" / APP
    given = environ.get(xdg, "").strip()
    base = Path(given) if Path(given).is_absolute() else _home(environ, platform) / fallback
    return base / APP


def config_folder(environ: Mapping[str, str] = os.environ, *, platform: str = sys.platform) -> Path:
    """Return the folder of the user's own host.yaml and policies."""
    return _folder("XDG_CONFIG_HOME", ".config", environ=environ, platform=platform)


def data_folder(environ: Mapping[str, str] = os.environ, *, platform: str = sys.platform) -> Path:
    """Return the folder of the database, tokens, journal and logs; `HOST_DATA_DIR` moves it."""
    given = environ.get("HOST_DATA_DIR")
    if given:
        return Path(given).expanduser().absolute()
    return _folder("XDG_DATA_HOME", ".local/share", environ=environ, platform=platform)


def _own_run_folder(user: int) -> Path | None:
    # By user id and not by XDG_RUNTIME_DIR: an editor started from a desktop and one started over
    # ssh have different environments and must still meet the same daemon.
    folder = Path("/run/user") / str(user)
    try:
        status = folder.stat()
    except OSError:
        return None
    private = stat.S_IMODE(status.st_mode) & 0o077 == 0
    return folder / APP if status.st_uid == user and private else None


def runtime_folder(
    environ: Mapping[str, str] = os.environ, *, platform: str = sys.platform
) -> Path:
    """Return the folder of the socket; `HOST_RUNTIME_DIR` moves it.

    It is `/run/user/UID/mcp-agent-host` where the system gives the user that folder, else
    `/tmp/mcp-agent-host-UID`: short enough for a socket on every system.
    """
    given = environ.get("HOST_RUNTIME_DIR")
    if given:
        return Path(given).expanduser().absolute()
    if platform == "win32":
        return _local_app_data(environ, platform) / APP / "run"
    user = os.geteuid()
    shared = Path("/tmp") / f"{APP}-{user}"  # noqa: S108 - checked to be ours before use
    return _own_run_folder(user) or shared


def daemon_id(data: Path) -> str:
    """Return the name of the daemon that owns a data folder: 12 hex digits of its real path."""
    return hashlib.sha256(os.fsencode(data.resolve())).hexdigest()[:12]


def socket_path(
    environ: Mapping[str, str] = os.environ,
    *,
    data: Path | None = None,
    platform: str = sys.platform,
) -> Path:
    """Return where the daemon of a data folder listens: a Unix socket, on Windows a named pipe.

    Args:
        environ: Environment that the folders are taken from.
        data: Data folder of the daemon; None means `data_folder(environ)`.
        platform: `sys.platform` of the machine.

    Raises:
        ConfigError: The path is too long for a socket.
    """
    name = daemon_id(data or data_folder(environ, platform=platform))
    if platform == "win32":
        return Path(rf"\\.\pipe\{APP}-{name}")
    path = runtime_folder(environ, platform=platform) / f"{name}.sock"
    if len(os.fsencode(path)) > SOCKET_BYTES:
        _refuse(
            f"The socket path {path} is longer than {SOCKET_BYTES} bytes.",
            "Set HOST_RUNTIME_DIR to a shorter folder.",
        )
    return path


def ensure_runtime_folder(folder: Path) -> Path:
    """Create a folder that only this user can enter, or check that an existing one is.

    A folder that somebody else made beforehand would let them put a socket of their own there and
    read everything a client says, so it is refused, and so is a symbolic link.

    Raises:
        ConfigError: It cannot be created, is a link, or belongs to somebody else.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
    except OSError as error:
        _refuse(f"The folder {folder} cannot be made: {error.strerror}.", _MOVE)
    if not stat.S_ISDIR(status.st_mode):
        _refuse(f"{folder} is not a folder of its own (a link or a file).", _MOVE)
    if sys.platform == "win32":
        return folder
    if status.st_uid != os.geteuid():
        _refuse(f"The folder {folder} belongs to user {status.st_uid}, not to you.", _MOVE)
    if stat.S_IMODE(status.st_mode) & 0o077:
        folder.chmod(0o700)
    return folder


def begin_log(folder: Path) -> Path:
    """Return the file of the daemon's log, whose folder is made; a long one is put aside."""
    for one in (folder.parent, folder):  # the mode is that of the last one made only
        one.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = folder / "daemon.log"
    with contextlib.suppress(OSError):
        if file.stat().st_size > LOG_BYTES:
            file.replace(folder / "daemon.old.log")
    return file
