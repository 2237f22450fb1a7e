"""`host init`: writes a commented host.yaml to start from."""

from pathlib import Path

import typer


def register(root: typer.Typer) -> None:
    """Add `host init`."""
    root.command("init")(init)


def init(
    here: bool = typer.Option(False, "--here", help="Write it into the working folder."),
    force: bool = typer.Option(False, "--force", help="Replace a file; the old one stays as .bak."),
) -> None:
    """Write a commented host.yaml, with its schema beside it for editors."""
    from host.config.files import write_private
    from host.config.paths import find_config, user_paths
    from host.config.schema import render_schema
    from host.config.shipped import shipped_folder
    from host.domain.errors import ConfigError

    folder = Path.cwd() if here else user_paths().config
    present = find_config(folder)
    if present is not None and not force:
        raise ConfigError(
            "It is there already.", file=present, next_step="Edit it, or replace it with --force."
        )
    file = present or folder / "host.yaml"
    if present is not None:
        write_private(file.with_name(f"{file.name}.bak"), present.read_bytes())
    text = (shipped_folder("configs") / "host.yaml").read_text(encoding="utf-8")
    if file.suffix == ".json":
        raise ConfigError("The example is YAML.", file=file, next_step="Rename the file first.")
    write_private(file, text)
    write_private(folder / "host.schema.json", render_schema(), mode=0o644)
    print(f"Wrote {file}")
    print("Edit it, then run `host config check`." if not here else _TRUST)


_TRUST = "Edit it, then run `host trust`: a file in a working folder has no effect before."
