"""Manifests: what they may say, and where a fault is."""

from pathlib import Path

import pytest

from host.domain.errors import ConfigError
from host.plugins.bundle import find_bundles, load_bundle
from host.plugins.installed import Register
from host.plugins.manifest import Capabilities, Manifest, SecretGrant, parse_header, parse_manifest

FOLDER = Path(__file__).parents[2] / "plugins"


def test_a_manifest_needs_a_name_only():
    assert parse_manifest("name: words") == Manifest(name="words")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: Words", "try 'words'"),
        ("name: host-x", "kept for the host's own tools"),
        ("name: a\ncapabilities: {tool: [x]}", "Did you mean 'tools'"),
        ("name: a\ncapabilities: {tools: ['a b']}", "no tool name or pattern"),
        ("name: a\nlimits: {timeout: 0}", "2: limits.timeout"),
        ("version: 1.0.0", "'name' is missing"),
    ],
)
def test_a_fault_is_named_with_its_line(text: str, message: str):
    with pytest.raises(ConfigError) as raised:
        parse_manifest(text, file=Path("plugin.yaml"))
    assert message in str(raised.value)


def test_a_header_is_a_manifest_and_its_faults_have_the_lines_of_the_file():
    assert parse_header("# /// plugin\n# name: a\n# ///\nx = 1\n").name == "a"
    with pytest.raises(ConfigError, match=r"a\.py:4: "):
        parse_header("#!/x\n# /// plugin\n# name: a\n# nonsense: 1\n# ///\n", file=Path("a.py"))
    with pytest.raises(ConfigError, match="does not begin with a manifest"):
        parse_header("x = 1\n")


def test_capabilities_are_within_what_was_approved_only_if_each_is():
    grant = SecretGrant(tools=("web__*",), arguments=("key",))
    approved = Capabilities(tools=("a__b", "c__*"), state=True, secrets={"k": grant})
    assert Capabilities(tools=("a__b",)).within(approved)
    assert Capabilities(secrets={"k": grant}).within(approved)
    assert not Capabilities(tools=("*",)).within(approved)
    assert not Capabilities(state=True).within(Capabilities())
    wider = SecretGrant(tools=("*",), arguments=("key",))
    assert not Capabilities(secrets={"k": wider}).within(approved)


def test_the_digest_covers_every_byte_that_runs(tmp_path: Path):
    place = tmp_path / "a"
    place.mkdir()
    (place / "plugin.yaml").write_text("name: a\n")
    (place / "plugin.py").write_text("x = 1\n")
    digests = {load_bundle(place).digest}
    (place / "plugin.py").write_text("x = 2\n")
    digests.add(load_bundle(place).digest)
    (place / "plugin.yaml").write_text("name: a\nversion: 2.0.0\n")
    digests.add(load_bundle(place).digest)
    assert len(digests) == 3


def test_an_approved_plugin_is_read_from_the_private_copy(tmp_path: Path):
    place = tmp_path / "a.py"
    place.write_text("# /// plugin\n# name: a\n# ///\nx = 1\n")
    register = Register(tmp_path / "data")
    entry = register.approve(load_bundle(place))
    place.write_text("# /// plugin\n# name: a\n# ///\nx = 2\n")
    assert register.approved(entry).code.endswith("x = 1\n")
    assert register.current(entry).digest != entry.digest


def test_the_shipped_plugins_are_good():
    names = [load_bundle(place).name for place in find_bundles(FOLDER)]
    assert names == ["checklist", "money", "survey", "table"]
