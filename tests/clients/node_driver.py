"""The features of a server as the TypeScript SDK and the MCP Inspector's command line see them."""

import json
import os
import subprocess
from pathlib import Path
from typing import cast

from tests.clients.target import JSON, HttpTarget, Target
from tests.conformance.suite import REPOSITORY, node, npm_install

CACHE = REPOSITORY / ".cache" / "clients"
PACKAGES = (
    "@modelcontextprotocol/client@2.4.0",
    "@modelcontextprotocol/inspector@2.12.0",
    "@modelcontextprotocol/sdk@1.32.2",
)
DRIVER = Path(__file__).with_name("driver.mjs")
LISTS = ("tools", "resources", "prompts")


def install() -> Path:
    """Install the packages on first use and return their `node_modules`."""
    modules = npm_install(CACHE, PACKAGES)
    driver = CACHE / DRIVER.name
    driver.write_text(DRIVER.read_text(encoding="utf-8"), encoding="utf-8")
    return modules


def _run(arguments: list[str], modules: Path) -> JSON:
    program = node(modules)
    path = f"{Path(program).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [program, *arguments],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env={**os.environ, "PATH": path, "HOME": str(CACHE)},
        cwd=CACHE,
    )
    assert done.returncode == 0, f"{done.stderr.strip()[-2000:]}\n{done.stdout.strip()[-500:]}"
    return cast("JSON", json.loads(done.stdout))


def observe_typescript(mode: str, feature: str, target: Target) -> JSON:
    """Use one feature with the TypeScript SDK: its 1.x line, or 2.x in one era."""
    modules = install()
    return _run([str(CACHE / DRIVER.name), feature, mode, json.dumps(target.as_json())], modules)


def _inspect(era: str, target: Target, *arguments: str) -> JSON:
    modules = install()
    launcher = modules / "@modelcontextprotocol/inspector/clients/launcher/build/index.js"
    if isinstance(target, HttpTarget):
        where = ["--server-url", target.url, "--transport", "http"]
    else:
        pairs = [f"{name}={value}" for name, value in target.env.items()]
        config = CACHE / "inspector.json"
        server = {"command": target.command, "args": target.args, "env": target.env}
        config.write_text(json.dumps({"mcpServers": {"target": server}}))
        where = ["--config", str(config), "--server", "target"] if pairs else [target.command]
    kind = {"handshake": "legacy", "stateless": "modern"}[era]
    options = ["--protocol-era", kind, "--format", "json", "--quiet", "--stored-auth-only"]
    return _run([str(launcher), "--cli", *where, *arguments, *options], modules)


def _payload(answer: JSON) -> JSON:
    return cast("JSON", answer.get("result", answer))


def observe_inspector(era: str, feature: str, target: Target) -> JSON:
    """Use one feature with the Inspector's command line."""
    if feature == "call":
        call = ["--method", "tools/call", "--tool-name", "echo", "--tool-args-json"]
        result = _payload(_inspect(era, target, *call, json.dumps({"text": "hé"})))
        return {"text": result["content"][0]["text"], "structured": result["structuredContent"]}
    found = {kind: _payload(_inspect(era, target, "--method", f"{kind}/list")) for kind in LISTS}
    method = "resources/templates/list"
    templates = _payload(_inspect(era, target, "--method", method))["resourceTemplates"]
    return {
        "tools": [tool["name"] for tool in found["tools"]["tools"]],
        "resources": [resource["uri"] for resource in found["resources"]["resources"]],
        "templates": [template["uriTemplate"] for template in templates],
        "prompts": [prompt["name"] for prompt in found["prompts"]["prompts"]],
    }
