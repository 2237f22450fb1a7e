"""`host new-server` as a user meets it: `--register`, `--update`, and what it refuses."""

import os
from pathlib import Path

import pytest
import yaml

from tests.fakes.command import run_host

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "tests" / "generator" / "documents" / "pets.yaml"


class Shell:
    """Runs the real command with a home of its own, in that folder."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.config = home / ".config" / "mcp-agent-host" / "host.yaml"
        self._environ = {"HOME": str(home), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}

    def run(self, *words: object, status: int = 0) -> str:
        """Run `host new-server` to its end and return what it printed."""
        command = ["new-server", *map(str, words)]
        done = run_host(*command, folder=self.home, environ=self._environ)
        said = done.stdout + done.stderr
        assert done.returncode == status, said
        assert "Traceback" not in said
        return said


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_server_is_registered_once_and_nothing_is_written_the_second_time(shell: Shell):
    said = shell.run("gitlog", "--from", "cli", "git", "--only", "log", "--yes", "--register")
    assert "Added gitlog to" in said
    entry = yaml.safe_load(shell.config.read_text())["servers"]["gitlog"]
    assert entry["args"] == ["-m", "gitlog"]
    assert Path(entry["cwd"]) == shell.home / "gitlog" / "src"
    assert entry["env"]["GITLOG_PROGRAM"] == "${GITLOG_PROGRAM:-}"
    before = shell.config.read_text()
    again = ["--folder", "elsewhere", "--yes", "--register"]
    assert "already a server 'gitlog'" in shell.run("gitlog", *again, status=2)
    assert shell.config.read_text() == before
    assert not (shell.home / "elsewhere").exists()


def test_registered_server_starts_from_its_own_environment_and_registers_again(shell: Shell):
    said = shell.run("notes", "--yes", "--register")
    assert ".venv/bin/pip install --editable ." in said
    entry = yaml.safe_load(shell.config.read_text())["servers"]["notes"]
    assert entry["command"] == str(shell.home / "notes/.venv/bin/python")
    assert "nothing has changed" in shell.run("--register", "notes")
    text = shell.config.read_text()
    shell.config.write_text(text.replace("/notes/.venv/bin/python", "/elsewhere/python"))
    assert "Renewed notes in" in shell.run("--update", "notes", "--register")
    assert yaml.safe_load(shell.config.read_text())["servers"]["notes"] == entry
    assert "nothing has changed" in shell.run("notes", "--yes", "--register")


def test_newer_document_is_merged_into_edits_and_conflicts_are_said(shell: Shell):
    document = shell.home / "pets.yaml"
    document.write_text(DOCUMENT.read_text())
    shell.run("pets", "--from", "openapi", "pets.yaml", "--yes")
    assert "up to date" in shell.run("--update", "pets", "pets.yaml")
    tools = shell.home / "pets/src/pets/tools/pets.py"
    tools.write_text(tools.read_text().replace('"""List pets\n', '"""List pets, my way.\n'))
    new = "  /toys:\n    get: {operationId: listToys, tags: [pets]}\n  /files:"
    document.write_text(DOCUMENT.read_text().replace("  /files:", new))
    said = shell.run("--update", "pets", "pets.yaml")
    assert "merged     src/pets/tools/pets.py" in said
    assert "List pets, my way." in tools.read_text()
    assert "async def list_toys()" in tools.read_text()
    document.write_text(document.read_text().replace("List pets", "List all pets"))
    assert "conflicts, marked" in shell.run("--update", "pets", "pets.yaml", status=1)
    assert "<<<<<<< yours" in tools.read_text()
    said = shell.run("--update", "pets", "pets.yaml", status=1)
    assert "are open: " in said
    assert "src/pets/tools/pets.py" in said


def test_templates_of_ones_own_are_those_of_an_update_too(shell: Shell):
    mine = shell.home / "mine"
    mine.mkdir()
    template = mine / "note.j2"
    template.write_text("{# file: NOTE.md #}\nOne.\n")
    shell.run("notes", "--templates", "mine", "--yes")
    template.write_text("{# file: NOTE.md #}\nTwo.\n")
    assert "changed    NOTE.md" in shell.run("--update", "notes", "--templates", "mine")
    assert (shell.home / "notes/NOTE.md").read_text() == "Two.\n"


def test_newer_template_is_merged_into_edits_and_its_layout_is_none(shell: Shell):
    (shell.home / "mine").mkdir()
    template = shell.home / "mine/extra.j2"
    lines = ["{# file: src/[package]/extra.py #}", "FIRST = 'one'", "SECOND = 'two'", "", "", "#"]
    template.write_text("\n".join([*lines, "LAST = 'three'"]))
    shell.run("notes", "--templates", "mine", "--yes")
    file = shell.home / "notes/src/notes/extra.py"
    file.write_text(file.read_text().replace('FIRST = "one"', 'FIRST = "mine"'))
    template.write_text("\n".join([*lines, "LAST = 'four'"]))
    said = shell.run("--update", "notes", "--templates", "mine")
    assert "merged     src/notes/extra.py" in said
    expected = 'FIRST = "mine"\nSECOND = "two"\n\n\n#\nLAST = "four"\n'
    assert file.read_text() == expected


def test_record_of_a_strangers_project_starts_nothing_and_reaches_nothing(shell: Shell):
    shell.run("gitlog", "--from", "cli", "git", "--only", "log", "--yes")
    record = shell.home / "gitlog/.generator.json"
    text = record.read_text()
    record.write_text(text.replace('"where": "git"', '"where": "touch started"'))
    assert record.read_text() != text
    assert "has to be named" in shell.run("--update", "gitlog", status=2)
    (shell.home / "mine.txt").write_text("mine")
    record.write_text(text.replace('"files": {', '"files": {"../mine.txt": "mine",', 1))
    assert "not a path inside" in shell.run("--update", "gitlog", "git", status=2)
    assert (shell.home / "mine.txt").read_text() == "mine"
    assert not (shell.home / "started").exists()


def test_folder_without_a_record_is_not_updated(shell: Shell):
    assert "was not made by" in shell.run("--update", ".", status=2)


def test_what_cannot_be_read_is_named_and_leaves_nothing(shell: Shell):
    for words, said in [
        (["x", "--from", "openapi", "none.yaml"], "cannot be read"),
        (["x", "--from", "soap", "y"], "no source 'soap'"),
        (["Größe"], "try 'grosse'"),
        (["x", "--from", "cli", "git; touch y"], "no command 'git;'"),
        (["x", "--auth", "bearer"], "--transport http"),
        (["x", "--from", "cli", "git", "--only", "lag"], "Nearest are tag, log"),
        (["x", "--from", "openapi", str(DOCUMENT), "--tag", "pet"], "Nearest are pets"),
        (["x", "--from", "curl", "curl --digest -u a:b https://a.b"], "does not do"),
        (["pydantic"], "try 'pydantic-server'"),
        (["email"], "try 'email-server'"),
        (["x", "--from", "python", "os:sytem"], "no function in the text of os like 'sytem'"),
        (["x", "--from", "python", "sys"], "'sys' is not written in Python"),
        (["x", "--from", "python", "no_such"], "'no_such' is not in the host's"),
        (["x", "pets.yaml"], "Say what it is"),
        (["x", "--from", "python", "json", "--only", "dumps"], "name functions as `module:one"),
        (["x", "--tag", "pets"], "--tag is for `--from openapi`"),
        (["--update", "x", "--feature", "tasks"], "does not look at --feature"),
    ]:
        assert said in shell.run(*words, "--yes", status=2)
    assert [one for one in shell.home.iterdir() if not one.name.startswith(".")] == []


def test_module_of_the_same_name_is_not_hidden(shell: Shell):
    shell.run("--from", "python", "statistics:mean", "--yes")
    shell.run("email-server", "--yes")
    packages = sorted(path.name for path in shell.home.glob("*/src/*"))
    assert packages == ["email_server", "statistics_server"]
