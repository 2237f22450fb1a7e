"""What a project is delivered with is carried out: the steps of its Dockerfile and its workflow.

No container engine is needed: the steps are done by hand, in a folder and an environment that have
nothing but what these steps put there.
"""

import os
import re
import shlex
import shutil
import sys
import venv
from pathlib import Path
from typing import Any

import anyio
import pytest
import yaml
from fastmcp import Client
from fastmcp.client.transports import StdioTransport

from tests.generated.conftest import Installed, Projects, Workshop, environment_python, run
from tests.generated.running import SECONDS

if sys.platform == "win32":
    pytest.skip("images and workflows are of Linux", allow_module_level=True)

FOR_STDIO, FOR_HTTP = "cli-stdio-none-elic-life-task", "openapi-http-bearer-elic-life-ta"


def steps(project: Installed) -> list[tuple[str, list[str]]]:
    """Return the instructions of a project's Dockerfile and their words."""
    text = (project.folder / "Dockerfile").read_text("utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    pairs = [line.partition(" ") for line in lines]
    return [
        (name, yaml.safe_load(rest) if rest.startswith("[") else shlex.split(rest))
        for name, _, rest in pairs
    ]


def image(project: Installed, workshop: Workshop, folder: Path) -> tuple[Path, list[str]]:
    """Do the steps of a Dockerfile; return the environment's folder of programs and the start."""
    known = ("FROM", "WORKDIR", "COPY", "RUN", "USER", "ENTRYPOINT", "EXPOSE")
    done: dict[str, int] = dict.fromkeys(known, 0)
    app, environment = folder / "app", folder / "environment"
    app.mkdir()
    start: list[str] = []
    for name, words in steps(project):
        done[name] += 1  # a KeyError is an instruction that is not done here
        if name == "COPY":
            copy(project.folder, app, words)
        elif name == "RUN":
            assert words[:4] == ["pip", "install", "--no-cache-dir", "."]
            assert words[4:] == ["&&", "useradd", "--create-home", "server"]
            workshop.install(environment, str(app))
        elif name == "ENTRYPOINT":
            start = words
    assert done["FROM"] == done["RUN"] == done["ENTRYPOINT"] == done["USER"] == 1
    shutil.rmtree(app)  # the environment has to hold all that is started
    return environment_python(environment).parent, start


def copy(project: Path, app: Path, words: list[str]) -> None:
    """Copy what is there, and not kept out by `.dockerignore`."""
    ignored = (project / ".dockerignore").read_text("utf-8").splitlines()
    *sources, target = words
    for source in sources:
        assert (project / source).exists(), source
        assert f"!{source}" in ignored
        if (project / source).is_dir():
            shutil.copytree(project / source, app / target)
        else:
            shutil.copy(project / source, app / target)


@pytest.mark.xdist_group(FOR_STDIO)
def test_image_answers_over_stdio_where_there_is_no_authentication(
    projects: Projects, workshop: Workshop, tmp_path: Path
):
    one = projects[FOR_STDIO]
    programs, start = image(one, workshop, tmp_path)
    environ = {**os.environ, **one.environ}

    async def listed() -> set[str]:
        transport = StdioTransport(str(programs / start[0]), start[1:], env=environ)
        with anyio.fail_after(SECONDS):
            async with Client(transport) as client:
                return {tool.name for tool in await client.list_tools()}

    assert {"log", "status", "commit"} <= anyio.run(listed)


@pytest.mark.xdist_group(FOR_HTTP)
def test_image_listens_on_every_address_where_there_is_authentication(projects: Projects):
    one = projects[FOR_HTTP]
    words = dict(steps(one))
    said = words["ENTRYPOINT"]
    assert words["EXPOSE"] == [said[said.index("--port") + 1]]
    assert said[said.index("--host") + 1] == "0.0.0.0"  # noqa: S104 - of a container
    assert run(one.python.parent / said[0], "--help").startswith(f"usage: {said[0]}")


@pytest.mark.xdist_group(FOR_HTTP)
def test_commands_of_the_workflow_pass_as_they_stand(projects: Projects, tmp_path: Path):
    one = projects[FOR_HTTP]
    copied = tmp_path / "checkout"
    ignored = shutil.ignore_patterns(".venv", "__pycache__", "*.log", ".*_cache")
    shutil.copytree(one.folder, copied, ignore=ignored)
    workflow: dict[Any, Any] = yaml.safe_load((copied / ".github/workflows/ci.yml").read_text())
    commands = [step["run"] for step in workflow["jobs"]["check"]["steps"] if "run" in step]
    assert [re.split(r"\s", command)[0] for command in commands] == [
        *("pip", "pip", "ruff", "ruff", "pyright", "python", "pytest"),
    ]
    venv.create(tmp_path / "environment", with_pip=True)
    programs = environment_python(tmp_path / "environment").parent
    environ = {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    for command in commands:
        run("bash", "-e", "-c", command, folder=copied, env=environ)
