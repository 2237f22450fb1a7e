import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from generator.answers import Answers, from_record
from generator.errors import GeneratorError
from generator.project import read_record, render_server
from generator.update import update_project
from generator.write import write_project
from host.config.servers import ServerConfig
from host.policy.policy_set import load_policy_file
from tests.generator.projects import Made, make, sources

HERE = Path(__file__).parent
COMBINATIONS = [
    ("blank", "stdio", "none", ("lifespan", "elicitation")),
    ("blank", "http", "oauth", ()),
    ("openapi", "stdio", "none", ("elicitation",)),
    ("openapi", "http", "bearer", ("lifespan",)),
    ("python", "http", "none", ("lifespan",)),
    ("python", "stdio", "none", ("elicitation",)),
    ("cli", "stdio", "none", ("elicitation", "lifespan")),
    ("cli", "http", "oauth", ("elicitation",)),
    ("database", "http", "bearer", ("elicitation",)),
    ("database", "stdio", "none", ("lifespan",)),
    ("curl", "stdio", "none", ()),
    ("curl", "http", "oauth", ("lifespan", "elicitation")),
]
"""Every source with both transports; every pair of transport, authentication and feature."""
LONG = (1, 3, 7, 8)
"""Combinations whose names are as long as names may be: no line may be broken for it."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[Made]:
    folder = tmp_path_factory.mktemp("projects")
    known = sources(folder)
    projects: list[Made] = []
    for number, (kind, transport, auth, features) in enumerate(COMBINATIONS):
        answers = replace(known[kind], transport=transport, auth=auth, features=features)
        name = f"{kind}-{number}" + "-with-a-rather-long-name" * (number in LONG)
        projects.append(make(answers, folder / "made", name[:32]))
    return projects


def run(*words: object) -> str:
    done = subprocess.run(
        [sys.executable, *map(str, words)], capture_output=True, text=True, check=False, timeout=110
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_every_project_lists_tools_and_refuses_arguments_that_do_not_fit(made: list[Made]):
    found = json.loads(run(HERE / "drive.py", *[project.folder for project in made]))
    assert set(found) == {project.package for project in made}
    for package, report in found.items():
        assert set(report.pop("answers").values()) == {"refused"}, package
        expected = {"described": True, "labelled": True, "resource": True, "prompt": True}
        assert report == expected, package


def test_every_project_is_formatted_and_linted_by_its_own_rules(made: list[Made]):
    for project in made:
        run("-m", "ruff", "format", "--check", "--no-cache", "--diff", project.folder)
        run("-m", "ruff", "check", "--no-cache", project.folder)


def test_a_source_that_needs_no_login_makes_a_project_that_is_formatted(tmp_path: Path):
    answers = replace(sources(tmp_path)["curl"], where="curl https://api.example.com/items?q=1")
    project = make(answers, tmp_path / "made", "plain")
    assert (
        "SCHEMES: dict[str, Scheme] = {}" in (project.folder / "src/plain/service.py").read_text()
    )
    run("-m", "ruff", "format", "--check", "--no-cache", "--diff", project.folder)


def written(project: Made) -> list[Path]:
    """Return a project's own files, without what running it has left there."""
    files = [file for file in project.folder.rglob("*") if file.is_file()]
    return [one for one in files if one.suffix != ".db" and "__pycache__" not in one.parts]


def test_no_project_names_this_machine(made: list[Made]):
    for project in made:
        for file in written(project):
            text = file.read_text("utf-8")
            assert str(project.folder.parent) not in text, file
            assert str(Path.home()) not in text, file


def test_entry_for_the_host_is_one_that_it_reads(made: list[Made]):
    for project in made:
        entries = yaml.safe_load((project.folder / "host.yaml").read_text())["servers"]
        (entry,) = entries.values()
        ServerConfig.model_validate(entry)


def test_policy_for_the_host_is_one_that_it_reads(made: list[Made]):
    for project in made:
        load_policy_file(project.folder / "policy.yaml")


def test_secrets_of_a_curl_command_become_settings(made: list[Made]):
    (project,) = [one for one in made if one.name == "curl-10"]
    texts = [file.read_text("utf-8") for file in written(project)]
    assert not any("s3cret" in text or "ann:pw" in text or "token=abc" in text for text in texts)
    example = (project.folder / ".env.example").read_text()
    assert "CURL_10_X_API_KEY=" in example
    assert "CURL_10_LOGIN_PASSWORD=" in example


def test_functions_of_a_file_become_tools_without_running_it(tmp_path: Path):
    file = tmp_path / "sums.py"
    file.write_text("raise SystemExit('it ran')\ndef add(a: int, b: int = 1) -> int:\n    'Add.'\n")
    project = make(Answers(kind="python", where=str(file)), tmp_path, "sums")
    assert "async def add(\n    a: int,\n    b: int = 1,\n" in (
        project.folder / "src/sums/tools/sums.py"
    ).read_text("utf-8")


def test_command_is_started_from_a_list_and_never_through_a_shell(tmp_path: Path):
    with pytest.raises(GeneratorError, match="no command"):
        make(Answers(kind="cli", where="nothing; touch x"), tmp_path, "x")
    assert list(tmp_path.iterdir()) == []


def test_update_merges_a_newer_document_into_edits(tmp_path: Path):
    known = sources(tmp_path)["openapi"]
    document = tmp_path / "pets.yaml"
    document.write_text(Path(known.where).read_text())
    answers = replace(known, where=str(document))
    project = make(answers, tmp_path, "pets")
    tools = project.folder / "src/pets/tools/pets.py"
    tools.write_text(tools.read_text().replace('"""List pets\n', '"""List pets, as I say it.\n'))
    (project.folder / "Dockerfile").unlink()
    (project.folder / "mine.txt").write_text("mine")
    old = document.read_text()
    document.write_text(
        old.replace(
            "  /files:", "  /toys:\n    get: {operationId: listToys, tags: [pets]}\n  /files:"
        )
    )
    again = make(answers, tmp_path / "again", "pets")
    newer = read_record(again.folder).files
    outcome = update_project(project.folder, read_record(project.folder).files, newer)
    text = tools.read_text()
    assert outcome.changes["src/pets/tools/pets.py"] == "merged"
    assert outcome.changes["docs/tools/list_toys.md"] == "added"
    assert not outcome.conflicts
    assert "as I say it" in text
    assert "async def list_toys()" in text
    assert not (project.folder / "Dockerfile").exists()
    assert (project.folder / "mine.txt").read_text() == "mine"


def test_update_marks_what_two_people_changed(tmp_path: Path):
    folder = tmp_path / "project"
    before, after = {"a.py": "a = 1\n", "b": "b"}, {"a.py": "a = 2\n"}
    write_project(folder, before)
    (folder / "a.py").write_text("a = 3\n")
    outcome = update_project(folder, before, after)
    assert outcome.changes == {"a.py": "conflict", "b": "removed"}
    assert "<<<<<<< yours" in (folder / "a.py").read_text()
    assert not (folder / "b").exists()


def test_answers_are_read_back_from_the_record(tmp_path: Path):
    known = sources(tmp_path)["blank"]
    answers = replace(known, transport="http", auth="bearer", features=("lifespan",))
    project = make(answers, tmp_path, "notes")
    kept = from_record(read_record(project.folder).answers)
    assert kept == replace(answers, name="notes")


def test_templates_of_ones_own_replace_and_add_files(tmp_path: Path):
    from generator.answers import spec_of  # noqa: PLC0415
    from generator.sources.blank import read_blank  # noqa: PLC0415

    (tmp_path / "note.j2").write_text("{# file: NOTE.md #}\nAbout {{ name }}: {{ tools|length }}\n")
    (tmp_path / "readme.j2").write_text("{# file: README.md #}\nMine.\n")
    spec = spec_of(Answers(name="a-b"), read_blank())
    files = render_server(spec, extra_templates=[tmp_path])
    assert files["NOTE.md"] == "About a-b: 3\n"
    assert files["README.md"] == "Mine.\n"


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        (Answers(kind="soap"), "soap"),  # type: ignore[arg-type]
        (Answers(auth="bearer"), "--transport http"),
        (Answers(name="class A"), "class-a"),
        (Answers(features=("sampling",)), "sampling"),
        (Answers(kind="openapi"), "needs a source"),
    ],
)
def test_answers_that_do_not_go_together_are_explained(answers: Answers, said: str):
    from generator.answers import check_answers  # noqa: PLC0415

    with pytest.raises(GeneratorError, match=said):
        check_answers(answers)
