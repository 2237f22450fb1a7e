from itertools import product
from typing import Any

import pytest

from host.config.servers import ServerConfig
from host.config.shipped import shipped_folder
from host.policy.case import check_file
from host.policy.labels import ground_of, identify_server, is_trusted, package_of
from host.policy.policy_set import PolicySet
from host.policy.source import shipped_names, shipped_source
from tests.policy.conftest import attempt

POLICIES = {name: PolicySet.load([shipped_source(name)]) for name in shipped_names()}
READS: dict[str, Any] = {
    "trusted": True,
    "annotations": {"readOnlyHint": True, "openWorldHint": False},
}


def test_five_policies_come_with_the_host():
    assert shipped_names() == ["default", "permissive", "readonly", "strict", "unattended"]


@pytest.mark.parametrize("name", shipped_names())
def test_a_shipped_policy_does_what_its_own_cases_say(name: str):
    results = check_file(shipped_folder("policies") / f"{name}.yaml")
    assert len(results) >= 5
    assert [one.case.name for one in results if one.problem] == []


def calls() -> list[dict[str, Any]]:
    methods = ["tools/call", "resources/read", "prompts/get", "sampling/createMessage", "vendor/x"]
    labels = [(), ("sends",), ("changes",), ("destructive",), ("egress",)]
    taints = [(), ("untrusted",), ("untrusted", "private")]
    kinds: list[dict[str, Any]] = [{}, READS, {"trusted": True, "annotations": {}}]
    return [
        {"method": m, "labels": frozenset(label), "taint": frozenset(t), **k}
        for m, label, t, k in product(methods, labels, taints, kinds)
    ]


def test_unattended_denies_exactly_what_default_asks_about():
    for fields in calls():
        asked = POLICIES["default"].decide(attempt(**fields)).action
        wanted = "allow" if asked == "allow" else "deny"
        assert POLICIES["unattended"].decide(attempt(**fields)).action == wanted, fields


def test_readonly_and_strict_allow_nothing_that_default_does_not():
    for fields in calls():
        if POLICIES["default"].decide(attempt(**fields)).action != "allow":
            for name in ("readonly", "strict"):
                assert POLICIES[name].decide(attempt(**fields)).action != "allow", (name, fields)


def test_readonly_never_lets_a_change_be_approved():
    for label in ("changes", "sends", "destructive"):
        call = attempt(labels=frozenset({label}), **READS)
        assert POLICIES["readonly"].decide(call).action == "deny"


@pytest.mark.parametrize(
    ("started", "package"),
    [
        ({"command": "npx", "args": ["-y", "@scope/name@1.2"]}, "npm:@scope/name"),
        ({"command": "/usr/bin/npx", "args": ["name"]}, "npm:name"),
        ({"command": "uvx", "args": ["mcp-server-git==1.0", "--repo", "x"]}, "pypi:mcp-server-git"),
        ({"command": "pnpm", "args": ["dlx", "a"]}, "npm:a"),
        ({"command": "npx", "args": ["--registry", "http://evil", "name"]}, None),
        ({"command": "uvx", "args": ["--from", "evil", "mcp-server-git"]}, None),
        ({"command": "npx", "args": ["./name"]}, None),
        ({"command": "./evil", "args": ["@scope/name"]}, None),
        ({"url": "https://mcp.context7.com/mcp"}, "url:https://mcp.context7.com"),
        ({"url": "http://mcp.context7.com/mcp"}, None),
        ({"bundled": "files"}, "bundled:files"),
    ],
)
def test_a_server_is_recognised_only_by_a_plain_way_of_starting_it(
    started: dict[str, Any], package: str | None
):
    assert identify_server(**started) == package


def test_a_server_that_a_project_brought_is_nobody():
    own = ServerConfig(bundled="files", settings={"roots": ["/srv"]})
    assert (package_of(own), is_trusted(own)) == ("bundled:files", True)
    assert [str(base) for base in ground_of(own).bases] == ["/srv"]
    brought = own.model_copy(update={"labels": ("project",)})
    assert (package_of(brought), is_trusted(brought)) == (None, False)


@pytest.mark.parametrize("tool", ["delete_file", "removeAll", "git-force-push", "DROP", "rm"])
def test_a_name_that_says_it_destroys_is_believed(tool: str):
    assert POLICIES["default"].decide(attempt(f"x__{tool}", tool=tool)).every_time


@pytest.mark.parametrize(
    "tool",
    [
        *(
            "run_command",
            "execute_sql",
            "exec",
            "shell",
            "runSQL",
            "executeSQLQuery",
            "bash",
            "eval",
        ),
        *("python_repl", "SSHCommand", "query", "browser_evaluate", "write_file", "run_code"),
    ],
)
def test_a_tool_whose_name_says_that_it_does_what_a_text_says_may_destroy(tool: str):
    assert POLICIES["default"].decide(attempt(f"x__{tool}", tool=tool)).every_time


@pytest.mark.parametrize("tool", ["list_scripts", "get_shell", "browse", "runner_up", "sequel"])
def test_such_a_word_inside_another_or_after_a_reading_verb_is_no_sign(tool: str):
    assert not POLICIES["default"].decide(attempt(f"x__{tool}", tool=tool)).every_time


def test_the_table_lets_no_tool_read_whose_name_says_that_it_does_more():
    # What these run decides about each call inside as about any other.
    own = {"host:host", "host:agent", "host:orchestrator"}
    for server, known in POLICIES["default"].table.servers.items():
        listed = [entry for one in known for entry in one.tools] if server not in own else []
        for names, labels in listed:
            for tool in names.texts:
                if POLICIES["default"].decide(attempt(f"x__{tool}", tool=tool)).every_time:
                    assert "reads" not in labels, f"{server} {tool}"


def test_a_page_is_shot_unasked_but_not_into_a_file_that_the_call_names():
    def decided(tool: str, arguments: dict[str, Any]) -> str:
        name, package = f"web__{tool}", "npm:@playwright/mcp"
        call = attempt(name, tool=tool, package=package, arguments=arguments)
        return POLICIES["default"].decide(call).action

    for tool in ("browser_take_screenshot", "browser_snapshot", "browser_network_requests"):
        assert decided(tool, {}) == "allow"
        assert decided(tool, {"filename": "x"}) == "ask"


def test_sql_for_a_database_server_is_asked_about_every_time():
    package = "npm:@modelcontextprotocol/server-postgres"
    call = attempt("pg__query", tool="query", package=package, arguments={"sql": "select 1"})
    made = POLICIES["default"].decide(call)
    assert (made.action, made.every_time) == ("ask", True)


@pytest.mark.parametrize("tool", ["undeleted", "perform", "dropdown_list", "enforce"])
def test_a_name_that_only_contains_such_a_word_is_not(tool: str):
    assert not POLICIES["default"].decide(attempt(f"x__{tool}", tool=tool)).every_time
