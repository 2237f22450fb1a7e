import os
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import anyio
import pytest

from host.config.load import LoadedSettings
from host.config.watch import watch_settings
from host.domain.errors import ConfigError
from tests.config.conftest import Home

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def watch(home: Home) -> AsyncGenerator[LoadedSettings | ConfigError, None]:
    return watch_settings(home.load(), folder=home.work, paths=home.paths, environ=home.environ)


async def after(
    changes: AsyncGenerator[LoadedSettings | ConfigError, None], file: Path, text: str
) -> LoadedSettings | ConfigError:
    """Replace a file as editors do, by renaming, and return what the watch says next."""
    temporary = file.with_name(file.name + "~")
    temporary.write_text(text)
    os.replace(temporary, file)  # noqa: PTH105 - the very call that editors make
    with anyio.fail_after(30):
        return await anext(changes)


async def test_an_edit_is_told_an_error_keeps_the_last_good_state_and_is_withdrawn(home: Home):
    file = home.config("http: {port: 1}\n")
    async with aclosing(watch(home)) as changes:
        fresh = await after(changes, file, "http: {port: 2}\n")
        assert isinstance(fresh, LoadedSettings)
        assert fresh.settings.http.port == 2
        wrong = await after(changes, file, "http: {prt: 3}\n")
        assert isinstance(wrong, ConfigError)
        assert "Did you mean 'port'" in str(wrong)
        again = await after(changes, file, "http: {port: 2}\n# back\n")
        assert isinstance(again, LoadedSettings)
        assert again.settings == fresh.settings


async def test_a_comment_is_no_change_but_the_env_file_is(home: Home):
    file = home.config("http: {port: '${P:-1}'}\n")
    async with aclosing(watch(home)) as changes:
        file.write_text("# comment\nhttp: {port: '${P:-1}'}\n")
        fresh = await after(changes, file.with_name(".env"), "P=5\n")
        assert isinstance(fresh, LoadedSettings)
        assert fresh.settings.http.port == 5


async def test_a_file_that_appears_where_there_was_none_is_told(home: Home):
    async with aclosing(watch(home)) as changes:
        home.paths.config.mkdir(parents=True)
        fresh = await after(changes, home.paths.config / "host.yaml", "http: {port: 7}\n")
        assert isinstance(fresh, LoadedSettings)
        assert fresh.settings.http.port == 7


async def test_setting_the_stop_event_ends_the_watch(home: Home):
    stop = anyio.Event()
    stop.set()
    changes = watch_settings(home.load(), paths=home.paths, environ=home.environ, stop=stop)
    with anyio.fail_after(30):
        assert [change async for change in changes] == []
