"""`host trust`: lets a working folder's configuration take part, as it is now."""

import json
from pathlib import Path

import typer

from host.cli.config import JSON_OPTION


def register(root: typer.Typer) -> None:
    """Add `host trust`, whose first word is a folder, `list` or `revoke`."""
    root.command("trust")(trust)


def trust(
    words: list[str] | None = typer.Argument(
        None, metavar="[FOLDER | list | revoke FOLDER]", help="The working folder without it."
    ),
    show: bool = typer.Option(False, "--show", help="Print what would be trusted, change nothing."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Trust a folder's host.yaml, .env and host.policy.yaml as they are; list or revoke.

    When one of them changes it has no effect until it is trusted again. Write ./list for a folder
    of that name.
    """
    verb, rest = (words or ["."])[0], (words or ["."])[1:]
    if verb == "list" and not rest:
        _list(as_json=as_json)
    elif verb == "revoke" and len(rest) <= 1:
        _revoke(Path(rest[0] if rest else "."))
    elif rest:
        raise typer.BadParameter("One folder is expected, or list, or revoke FOLDER.")
    elif show:
        _show(Path(verb))
    else:
        _pin(Path(verb))


def _pin(folder: Path) -> None:
    from host.config.paths import user_paths
    from host.config.trust import TrustStore
    from host.domain.errors import NotFoundError

    if not folder.is_dir():
        raise NotFoundError("folder", str(folder), ["list", "revoke"])
    entry = TrustStore(user_paths().trust).pin(folder)
    print(f"Trusted in {entry.folder}, until changed:")
    for name, digest in entry.files.items():
        print(f"  {name}  sha256 {digest[:16]}…")
    print("Programs that they start by a relative path are not watched.")


def _show(folder: Path) -> None:
    from host.config.paths import user_paths
    from host.config.trust import PINNED, TrustStore

    store = TrustStore(user_paths().trust)
    for name in PINNED:
        file = folder.absolute() / name
        found = store.read(file)
        if found.state == "absent":
            continue
        print(f"--- {file} ({found.state})")
        if name == ".env":
            print("(not shown)")
        elif file.is_file():
            print(file.read_text(encoding="utf-8", errors="backslashreplace"))


def _list(*, as_json: bool) -> None:
    from host.config.paths import user_paths
    from host.config.trust import TrustStore

    store = TrustStore(user_paths().trust)
    folders = store.folders()
    states = [
        {name: store.read(Path(one.folder) / name).state for name in one.files} for one in folders
    ]
    rows = list(zip(folders, states, strict=True))
    if as_json:
        listed = [{"folder": one.folder, "at": one.at, "files": files} for one, files in rows]
        print(json.dumps(listed, indent=1))
        return
    if not rows:
        print("No folder is trusted.")
    for one, files in rows:
        said = ", ".join(f"{name} {state}" for name, state in files.items())
        print(f"{one.folder}  since {one.at}  ({said})")


def _revoke(folder: Path) -> None:
    from host.config.paths import user_paths
    from host.config.trust import TrustStore
    from host.domain.errors import NotFoundError

    store = TrustStore(user_paths().trust)
    known = [one.folder for one in store.folders()]
    if not store.revoke(folder):
        raise NotFoundError("trusted folder", str(folder.resolve()), known)
    print(f"{folder.resolve()} is not trusted any more.")
