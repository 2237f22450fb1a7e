"""Tells when an edit changed the configuration, keeping the last good state where it is wrong."""

import os
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from pathlib import Path

import anyio
from watchfiles import awatch  # pyright: ignore[reportUnknownVariableType] - an optional trio type

from host.config.files import stamp_file
from host.config.load import LoadedSettings, load_settings
from host.config.paths import Paths
from host.domain.errors import ConfigError

SETTLE = 100
"""Milliseconds for which changes are gathered: an editor saves in several steps."""

LOOK_AGAIN = 2_000
"""Milliseconds after which files are looked at without a notice: some file systems send none."""


async def watch_settings(
    current: LoadedSettings,
    *,
    config: Path | None = None,
    folder: Path | None = None,
    paths: Paths | None = None,
    environ: Mapping[str, str] = os.environ,
    stop: anyio.Event | None = None,
) -> AsyncGenerator[LoadedSettings | ConfigError, None]:
    """Yield the new settings after each edit that changes them, or the error that it has.

    After an error the caller goes on with what it had; the next good edit is yielded even if it
    brings back what held before, so that the error can be withdrawn.

    Args:
        current: What `load_settings` returned, called with the same arguments.
        config: As for `load_settings`.
        folder: As for `load_settings`.
        paths: As for `load_settings`.
        environ: As for `load_settings`.
        stop: Ends the watch when set; None watches until cancelled.
    """
    last: LoadedSettings | None = current
    seen = dict(current.watched)  # from before the files were read, so no edit falls in between
    async for _ in notices(current.watched, stop):
        now = {file: stamp_file(file) for file in seen}
        if now == seen:
            continue
        seen = now
        try:
            fresh = load_settings(config, folder=folder, paths=paths, environ=environ)
        except ConfigError as error:
            last = None
            yield error
            continue
        if last is None or not _same(fresh, last):
            last, seen = fresh, dict(fresh.watched)
            yield fresh


def _same(one: LoadedSettings, other: LoadedSettings) -> bool:
    return (one.settings, one.sources, one.warnings) == (
        other.settings,
        other.sources,
        other.warnings,
    )


async def notices(files: Iterable[Path], stop: anyio.Event | None) -> AsyncGenerator[None, None]:
    """Yield whenever something may have changed beside some files, and now and then without.

    Args:
        files: Files, whether they exist or not.
        stop: Ends it when set; None goes on until cancelled.
    """
    # Folders and not files: an editor that replaces a file by renaming leaves a watch on the file
    # itself looking at the old one.
    folders = {_existing(file.parent) for file in files}
    changes = awatch(
        *folders,
        watch_filter=None,
        debounce=SETTLE,
        step=SETTLE // 2,
        stop_event=stop,
        rust_timeout=LOOK_AGAIN,
        yield_on_timeout=True,
        recursive=False,
        ignore_permission_denied=True,
    )
    async with aclosing(changes):
        async for _ in changes:
            yield None


def _existing(folder: Path) -> Path:
    return next(place for place in (folder, *folder.parents) if place.is_dir())
