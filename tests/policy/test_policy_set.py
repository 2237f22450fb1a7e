from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from host.config.paths import user_paths
from host.config.trust import TrustStore
from host.domain.errors import PolicyError
from host.policy.decision import decide, explain
from host.policy.policy_set import PolicySet, load_policy_file
from host.policy.source import find_sources, read_source, shipped_source
from tests.policy.conftest import attempt, policy_of

Write = Callable[..., Path]

FAULTS = [
    ("rules:\n  - name: a\n    action: alow\n", 3, "'allow', 'ask' or 'deny'"),
    ("rules:\n  - name: a\n    action: deny\n    match:\n      naem: x\n", 5, "'name'"),
    ("default: [\n", 2, "YAML"),
    ("rules:\n  - name: a\n    name: b\n", 3, "twice"),
    ("rules:\n  - {name: a, action: ask}\n  - {name: a, action: deny}\n", 3, "already"),
    ("rules:\n  - {name: a, action: ask, match: {when: 'args.x =='}}\n", 2, "CEL"),
    ("rules:\n  - {name: a, action: ask, match: {when: 'lables == []'}}\n", 2, "'labels'"),
    ("rules:\n  - {name: a, action: ask, match: {when: 'siez(args) > 1'}}\n", 2, "'size'"),
    (
        "rules:\n  - {name: a, action: ask, match: {arguments: {path: {type: string}}}}\n",
        2,
        "'/path'",
    ),
    ("rules:\n  - {name: a, action: ask, match: {arguments: {/x: {regex: '(?=a)'}}}}\n", 2, "RE2"),
    (
        "rules:\n  - {name: a, action: ask, match: {arguments: {/x: {url: {host: 'a b'}}}}}\n",
        2,
        "host",
    ),
    ("rules:\n  - {name: a, action: ask, match: {arguments: {/x: {}}}}\n", 2, "at least one"),
    (
        "rules:\n  - name: a\n    action: ask\n    match:\n      arguments:\n        /x:\n"
        "          path: {inside: src}\n",
        2,
        "'src'",
    ),
    (
        "rules:\n  - name: a\n    action: ask\n    match:\n      arguments:\n        /x:\n"
        "          schema: {$ref: 'https://example.com/s.json'}\n",
        7,
        "inside the schema",
    ),
    (
        "rules:\n  - name: a\n    action: ask\n    match:\n      arguments:\n        /x:\n"
        "          schema: {items: {$ref: '#/items'}}\n",
        7,
        "circle",
    ),
    ("rules:\n  - {name: a, action: ask, match: {times: {from: '25:00'}}}\n", 2, "time of day"),
    ("rules:\n  - {name: a, action: ask, match: {times: {zone: Mars/North}}}\n", 2, "Mars/North"),
    (
        "rules:\n  - {name: a, action: deny, limits: [{most: 1, per: day}]}\n",
        2,
        "no use for limits",
    ),
    ("rules:\n  - {name: a, action: ask, approvers: [ann]}\n", 2, "role:"),
    ("extends: [defualt]\n", 1, "default"),
    ("extends:\n  - {policy: default, except: {destrutive: [{tool: x}]}}\n", 2, "destructive"),
]


@pytest.mark.parametrize(("text", "line", "said"), FAULTS)
def test_a_fault_is_named_with_file_line_and_what_was_expected(
    write_policy: Write, text: str, line: int, said: str
):
    file = write_policy(text)
    with pytest.raises(PolicyError) as caught:
        load_policy_file(file)
    assert f"{file}:{line}: " in str(caught.value)
    assert said in str(caught.value)
    assert "nothing runs" in str(caught.value)


def test_all_faults_of_all_files_are_said_at_once(write_policy: Write):
    first = write_policy("default: maybe\nbogus: 1\n", "a.yaml")
    second = write_policy("rules: 5\n", "b.yaml")
    sources = [shipped_source("default")]
    sources += [read_source(file, level="user") for file in (first, second)]
    with pytest.raises(PolicyError) as caught:
        PolicySet.load(sources)
    assert len(caught.value.problems) == 3


def test_an_extended_policys_rule_gets_exceptions(write_policy: Write):
    file = write_policy(
        "extends:\n"
        "  - policy: default\n"
        "    except:\n"
        "      destructive: [{name: files__write, arguments: {/path: {path: {inside: /srv}}}}]\n"
        "rules:\n"
        "  - {name: mine, action: allow, match: {name: files__write}}\n"
    )
    policy = load_policy_file(file)
    write: dict[str, Any] = {"trusted": True, "annotations": {"destructiveHint": True}}
    assert policy.decide(attempt(**write, arguments={"path": "/srv/a"})).action == "allow"
    outside = policy.decide(attempt(**write, arguments={"path": "/etc/a"}))
    assert (outside.action, outside.rule) == ("ask", "default/destructive")


def test_a_project_cannot_extend_nor_label():
    for content in ({"extends": ["default"]}, {"labels": {"x": {"labels": ["reads"]}}}):
        with pytest.raises(PolicyError, match="can only tighten"):
            policy_of({"default": "ask"}, ("project", content))


def test_a_projects_allow_is_without_effect_and_said_so():
    allow = {"rules": [{"name": "all", "action": "allow"}]}
    policy = policy_of({"default": "ask"}, ("project", allow))
    assert policy.decide(attempt()).action == "ask"
    assert "'all' has no effect" in policy.warnings[0]
    open_anyway = policy_of({"default": "allow"}, ("project", allow)).decide(attempt())
    assert (open_anyway.action, open_anyway.rule) == ("allow", None)


def test_a_projects_folder_may_be_relative_to_its_file(tmp_path: Path):
    match = {"arguments": {"/path": {"path": {"inside": "."}}}}
    project = {"rules": [{"name": "here", "action": "deny", "match": match}]}
    policy = policy_of({"default": "allow"}, ("project", project))
    assert policy.decide(attempt(arguments={"path": "/policies/x"})).action == "deny"
    assert policy.decide(attempt(arguments={"path": str(tmp_path)})).action == "allow"


def test_facts_for_another_policy_are_refused():
    one, other = policy_of({"default": "allow"}), policy_of({"default": "deny"})
    with pytest.raises(PolicyError, match="changed"):
        decide(one.gather(attempt()), other)


def test_the_digest_follows_what_the_files_say():
    assert policy_of({"default": "ask"}).digest == policy_of({"default": "ask"}).digest
    assert policy_of({"default": "ask"}).digest != policy_of({"default": "deny"}).digest


def test_an_explanation_names_every_rule_and_agrees_with_the_decision():
    rules: list[dict[str, Any]] = [
        {"name": "yes", "action": "ask", "match": {"server": "files"}},
        {"name": "no", "action": "deny", "match": {"name": "other__x"}},
        {"name": "unsure", "action": "deny", "match": {"when": "args.absent > 1"}},
        {"name": "out", "action": "deny", "match": {}, "except": [{"tool": "write"}]},
        {"name": "args", "action": "deny", "match": {"arguments": {"/x": {"in": ["a"]}}}},
    ]
    policy = policy_of({"rules": rules})
    facts = policy.gather(attempt(arguments={"x": "b"}))
    explained = explain(facts, policy)
    assert explained.decision == decide(facts, policy)
    verdicts = {one.rule: one.verdict for one in explained.rules}
    assert verdicts == {
        "p0/yes": "applies",
        "p0/unsure": "cannot tell",
        "p0/out": "excepted",
        "p0/no": "does not apply",
        "p0/args": "does not apply",
    }
    told = {one.rule: " ".join(one.why) for one in explained.rules}
    assert "it is files__write" in told["p0/no"]
    assert 'it is "b"' in told["p0/args"]


def test_files_are_found_where_they_belong(tmp_path: Path):
    paths = user_paths({"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "c")})
    organisation, project = tmp_path / "etc", tmp_path / "work"
    for folder in (organisation, paths.config / "policies", project, paths.data):
        folder.mkdir(parents=True, exist_ok=True)
    found = find_sources(paths, folder=project, organisation=organisation)
    assert [(one.level, one.name) for one in found.sources] == [("shipped", "default")]
    (organisation / "org.yaml").write_text("default: ask\n")
    (paths.config / "policies" / "mine.yaml").write_text("default: allow\n")
    (paths.config / "policies" / "mine.test.yaml").write_text("tests: []\n")
    (project / "host.policy.yaml").write_text("default: deny\n")
    found = find_sources(paths, folder=project, organisation=organisation)
    assert [one.level for one in found.sources] == ["organisation", "user"]
    assert "host trust" in found.warnings[0]
    assert PolicySet.load(found.sources).decide(attempt()).action == "ask"


def test_a_trusted_projects_policy_holds(tmp_path: Path):
    paths = user_paths({"HOME": str(tmp_path)})
    project = tmp_path / "work"
    project.mkdir(mode=0o700)
    (project / "host.policy.yaml").write_text("default: deny\n")
    trust = TrustStore(paths.trust)
    try:
        trust.pin(project)
    except Exception as error:  # noqa: BLE001 - a temporary folder that others can write
        pytest.skip(str(error))
    found = find_sources(paths, folder=project, organisation=tmp_path / "none")
    assert PolicySet.load(found.sources).default == "deny"
    (project / "host.policy.yaml").write_text("default: allow\n")
    changed = find_sources(paths, folder=project, organisation=tmp_path / "none")
    assert "changed since" in changed.warnings[0]
    assert PolicySet.load(changed.sources).default == "ask"
