import os
import stat
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest
from platformdirs.macos import MacOS
from platformdirs.unix import Unix

from host.config.runtime import (
    SOCKET_BYTES,
    config_folder,
    data_folder,
    ensure_runtime_folder,
    runtime_folder,
    socket_path,
)
from host.domain.errors import ConfigError


def test_the_folders_are_those_of_platformdirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    unix, mac = Unix("mcp-agent-host", appauthor=False), MacOS("mcp-agent-host", appauthor=False)
    environ = {"HOME": str(tmp_path)}
    assert config_folder(environ, platform="linux") == Path(unix.user_config_dir)
    assert data_folder(environ, platform="linux") == Path(unix.user_data_dir)
    assert config_folder(environ, platform="darwin") == Path(mac.user_config_dir)
    assert data_folder(environ, platform="darwin") == Path(mac.user_data_dir)
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
        environ[name] = str(tmp_path / name)
    assert config_folder(environ, platform="linux") == Path(unix.user_config_dir)
    assert data_folder(environ, platform="linux") == Path(unix.user_data_dir)


def test_windows_keeps_everything_in_the_local_profile():
    environ = {"USERPROFILE": "C:/u", "LOCALAPPDATA": "C:/u/AppData/Local"}
    folder = PurePosixPath("C:/u/AppData/Local/mcp-agent-host")
    assert config_folder(environ, platform="win32") == Path(folder)
    assert data_folder(environ, platform="win32") == Path(folder)
    assert str(socket_path(environ, platform="win32")).startswith(r"\\.\pipe\mcp-agent-host-")


def test_the_socket_depends_on_the_data_folder_and_not_on_home_or_its_spelling(tmp_path: Path):
    data = tmp_path / "data"
    data.mkdir()
    (tmp_path / "link").symlink_to(data)
    one = socket_path({"HOME": "/a", "HOST_DATA_DIR": str(data)})
    assert one == socket_path({"HOME": "/b", "HOST_DATA_DIR": str(tmp_path / "link")})
    assert one == socket_path({"HOME": "/c"}, data=data)
    assert one != socket_path({"HOME": "/a", "HOST_DATA_DIR": str(tmp_path / "other")})
    assert len(os.fsencode(one)) <= SOCKET_BYTES


def test_a_socket_path_that_is_too_long_is_refused():
    with pytest.raises(ConfigError, match="longer than 100 bytes"):
        socket_path({"HOME": "/a", "HOST_RUNTIME_DIR": "/run/" + "x" * 100})


def test_the_runtime_folder_is_made_private_and_repaired(tmp_path: Path):
    folder = tmp_path / "a" / "run"
    assert stat.S_IMODE(ensure_runtime_folder(folder).stat().st_mode) == 0o700
    folder.chmod(0o777)
    assert stat.S_IMODE(ensure_runtime_folder(folder).stat().st_mode) == 0o700
    assert runtime_folder({"HOST_RUNTIME_DIR": str(folder)}) == folder


def test_a_link_or_a_file_in_place_of_the_runtime_folder_is_refused(tmp_path: Path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "file").touch()
    for name in ("link", "file"):
        with pytest.raises(ConfigError, match=r"not a folder|cannot be made"):
            ensure_runtime_folder(tmp_path / name)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders away")
def test_a_runtime_folder_of_somebody_else_is_refused(tmp_path: Path):
    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    os.chown(folder, 12345, 12345)
    with pytest.raises(ConfigError, match="belongs to user 12345"):
        ensure_runtime_folder(folder)


def test_the_bridge_can_find_the_socket_with_the_standard_library_alone():
    code = (
        "import sys; from host.config.runtime import socket_path; socket_path()\n"
        "specs = [getattr(module, '__spec__', None) for module in sys.modules.values()]\n"
        "names = {spec.origin for spec in specs if spec}\n"
        "print([n for n in names if n and 'site-packages' in n])"
    )
    outcome = subprocess.run(
        [sys.executable, "-S", "-c", code],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert outcome.stdout.strip() == "[]"
