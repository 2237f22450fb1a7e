"""Writes and installs plugins for tests, the way a user does."""

import json
from pathlib import Path
from typing import Any

from host.app import Host
from host.plugins.bundle import load_bundle
from host.plugins.installed import Register

MANIFEST = "name: {name}\nversion: 1.0.0\ncapabilities: {capabilities}\nlimits: {limits}\n"


def write(folder: Path, name: str, code: str, **manifest: Any) -> Path:
    """Write a plugin's folder."""
    place = folder / name
    place.mkdir(parents=True, exist_ok=True)
    limits = json.dumps(manifest.pop("limits", {}))
    text = MANIFEST.format(name=name, capabilities=json.dumps(manifest), limits=limits)
    (place / "plugin.yaml").write_text(text)
    (place / "plugin.py").write_text(code)
    return place


def approve(host: Host, place: Path, *, editable: bool = False) -> None:
    """Install a plugin without asking anybody."""
    Register(host.paths.data).approve(load_bundle(place), editable=editable)


async def install(host: Host, name: str, code: str, **manifest: Any) -> Path:
    """Write a plugin beside the configuration, install it, and let the host take notice."""
    editable = manifest.pop("editable", False)
    place = write(host.paths.config / "plugins", name, code, **manifest)
    approve(host, place, editable=editable)
    await host.plugins.refresh()
    return place
