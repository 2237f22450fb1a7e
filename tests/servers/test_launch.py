import json
from pathlib import Path

import pytest
from pydantic import Field

from servers.launch import ServerSettings, SettingsError, check_binding, read_settings, token_check


class ExampleSettings(ServerSettings):
    greeting: str = "hello"
    limits: dict[str, int] = Field(default_factory=dict)


def test_later_sources_of_settings_win(tmp_path: Path):
    file = tmp_path / "settings.json"
    file.write_text(json.dumps({"greeting": "from file"}))
    environ = {"HOST_SERVER_SETTINGS": '{"greeting": "from host", "limits": {"a": 1}}'}

    from_host = read_settings(ExampleSettings, environ, {})
    from_file = read_settings(ExampleSettings, environ, {"settings": f"@{file}"})
    from_flag = read_settings(
        ExampleSettings, environ, {"settings": f"@{file}", "greeting": "from flag"}
    )

    assert [s.greeting for s in (from_host, from_file, from_flag)] == [
        "from host",
        "from file",
        "from flag",
    ]
    assert from_flag.limits == {"a": 1}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "HOST_SERVER_SETTINGS is not JSON"),
        ("[]", "must be a JSON object"),
        ('{"greting": "x"}', "greting: Extra inputs are not permitted"),
        ('{"limits": {"a": "x"}}', "limits.a: Input should be a valid integer"),
    ],
)
def test_wrong_settings_are_named(text: str, said: str):
    with pytest.raises(SettingsError, match=said):
        read_settings(ExampleSettings, {"HOST_SERVER_SETTINGS": text}, {})


def test_missing_settings_file_is_named():
    with pytest.raises(SettingsError, match="--settings @/nowhere"):
        read_settings(ExampleSettings, {}, {"settings": "@/nowhere.json"})


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "example.com"])  # noqa: S104 - refused
def test_addresses_that_other_machines_reach_are_refused(host: str):
    with pytest.raises(SettingsError, match="will not listen"):
        check_binding(host)


@pytest.mark.anyio
async def test_only_the_one_token_is_accepted():
    check = token_check("right")
    assert await check.verify_token("wrong") is None
    accepted = await check.verify_token("right")
    assert accepted is not None
