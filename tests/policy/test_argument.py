import json
from pathlib import Path
from typing import Any

import pytest

from host.policy.path import Ground
from tests.policy.conftest import Judge, attempt, policy_of

HOST = {"url": {"host": ["good.com", "*.good.com"], "scheme": "https"}}


@pytest.mark.parametrize(
    "url",
    [
        "https://good.com/x",
        "HTTPS://GOOD.COM:443/",
        "https://good.com.",
        "https://api.good.com/?next=https://evil.com",
        "https://good。com/",
    ],
)
def test_a_url_of_an_allowed_host_is_recognised(judge: Judge, url: str):
    assert judge.argument("allow", HOST, url)
    assert judge.argument("deny", HOST, url)


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.com/good.com",
        "https://good.com.evil.com/",
        "https://notgood.com/",
        "https://good.com@evil.com/",
        "https://good.com:x@evil.com/",
        "https://evil.com\\@good.com/",
        "https:/\\good.com",
        "https://good.com%2eevil.com/",
        "https://evil.com#@good.com/",
        "https://evil.com?@good.com/",
        "http://good.com/",
        "https://gооd.com/",  # noqa: RUF001 - Cyrillic
        "https://xn--gd-jbca.com/",
        "https://good.com\t.evil.com/",
        " https://good.com/",
        "https://good.com:99999/",
        "//good.com/",
        "good.com",
        "javascript:alert(1)",
        "https:///good.com",
        "https://good..com/",
        ["https://good.com", "https://evil.com"],
        {"href": "https://good.com"},
        [],
        None,
    ],
)
def test_a_url_that_only_looks_like_an_allowed_one_is_not_allowed(judge: Judge, url: Any):
    assert not judge.argument("allow", HOST, url)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0177.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[0:0:0:0:0:ffff:7f00:1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://0/",
        "http://localhost./",
        "http://LOCALHOST/",
        "http://foo.localhost/",
        "http://①②⑦.⓪.⓪.①/",
        "http://user@127.0.0.1/",  # cannot tell, so the deny applies
    ],
)
def test_a_deny_of_this_machine_finds_it_in_any_spelling(judge: Judge, url: str):
    assert judge.argument("deny", {"url": {"address": "loopback"}}, url)


def test_addresses_are_told_apart(judge: Judge):
    def kind(url: str) -> list[str]:
        kinds = ("loopback", "private", "link_local", "reserved", "public")
        return [k for k in kinds if judge.argument("allow", {"url": {"address": k}}, url)]

    assert kind("http://10.1.2.3/") == ["private"]
    assert kind("http://169.254.169.254/latest") == ["link_local"]
    assert kind("http://8.8.8.8/") == ["public"]
    assert kind("http://example.com/") == []
    assert kind("http://[fe80::1]/") == ["link_local"]
    assert kind("http://[fd00::1]:8080/") == ["private"]


def test_a_rules_host_is_written_as_people_write_it(judge: Judge):
    match = {"url": {"host": "Bücher.Example."}}
    assert judge.argument("allow", match, "https://xn--bcher-kva.example/")
    assert judge.argument("allow", {"url": {"port": 8080}}, "http://a.b:8080/")
    assert judge.argument("allow", {"url": {"port": 443}}, "https://a.b/")


@pytest.fixture
def tree(judge: Judge) -> Path:
    base = judge.folder / "base"
    (base / "src").mkdir(parents=True)
    (judge.folder / "secret").mkdir()
    (judge.folder / "secret" / "key").write_text("k")
    (base / "src" / "out").symlink_to(judge.folder / "secret")
    (base / "src-other").mkdir()
    (judge.folder / "home").mkdir()
    return base


def inside(folder: Path | str, **more: Any) -> dict[str, Any]:
    return {"path": {"inside": str(folder), **more}}


def test_a_path_inside_the_folder_is_allowed_in_every_spelling(judge: Judge, tree: Path):
    allowed = inside(tree / "src")
    for text in (
        f"{tree}/src/a.py",
        f"{tree}/src",
        "src/a.py",
        "./src//deep/../a.py",
        f"file://{tree}/src/a%20b.py",
        f"{tree}/other/../src/a.py",
    ):
        assert judge.argument("allow", allowed, text), text


def test_a_path_that_leaves_the_folder_is_not_allowed(judge: Judge, tree: Path):
    allowed = inside(tree / "src")
    for text in (
        f"{tree}/src/../x",
        f"{tree}/src-other/x",
        "src/../../secret/key",
        "src/out/key",
        f"{tree}/src/out/../key",
        f"file://{tree}/src/%2e%2e/x",
        f"file://evil{tree}/src/x",
        "~/x",
        "~root/x",
        "C:\\x",
        "root:src/a.py",
        f"{tree}/src/a\0b",
        f" {tree}/src/a",
        f"{tree}/src/a\u200b",
        f"/proc/self/cwd{tree}/src/a",
        "",
        5,
        None,
        [f"{tree}/src/a", f"{tree}/x"],
    ):
        assert not judge.argument("allow", allowed, text), text


def test_a_denied_folder_is_found_behind_links_and_dots(judge: Judge, tree: Path):
    denied = inside(judge.folder / "secret")
    for text in ("src/out/key", "../secret/key", f"{tree}/src/out", "src/./out/./key"):
        assert judge.argument("deny", denied, text), text
    assert not judge.argument("deny", denied, "src/a.py")
    for text in (f" {judge.folder}/secret/key", f"{judge.folder}/secret\u200b/key", "~root/x"):
        assert judge.argument("deny", denied, text), text  # cannot tell, so the deny applies


def test_a_folder_that_is_itself_a_link_is_followed(judge: Judge, tree: Path):
    assert judge.argument("allow", inside(tree / "src" / "out"), str(judge.folder / "secret/key"))
    home = {"path": {"inside": "~/notes"}}
    assert judge.argument("allow", home, str(judge.folder / "home/notes/a"))


def test_a_relative_path_is_not_judged_where_its_base_is_unknown(judge: Judge, tree: Path):
    judge.ground = Ground()
    assert not judge.argument("allow", inside(tree / "src"), "src/a.py")
    assert judge.argument("deny", inside(judge.folder / "secret"), "src/a.py")


def test_with_several_bases_all_readings_have_to_be_inside(judge: Judge, tree: Path):
    judge.ground = Ground(bases=(tree, judge.folder / "elsewhere"))
    assert not judge.argument("allow", inside(tree / "src"), "src/a.py")
    assert judge.argument("deny", inside(tree / "src"), "src/a.py")


def test_paths_of_another_machine_are_judged_by_their_text(judge: Judge):
    judge.ground = Ground(local=False)
    assert judge.argument("allow", inside("/srv"), "/srv/./a")
    assert not judge.argument("allow", inside("/srv"), "/srv/x/../a")


def test_reading_and_writing_are_told_apart(judge: Judge, tree: Path):
    match = {"arguments": {"/x": inside(tree, access="write")}}
    reads = {"trusted": True, "annotations": {"readOnlyHint": True}}
    path = {"x": str(tree / "a")}
    assert judge.applies("deny", match, arguments=path)
    assert not judge.applies("deny", match, arguments=path, **reads)


def test_what_a_copy_only_reads_is_known(judge: Judge, tree: Path):
    call = {
        "package": "bundled:files",
        "tool": "copy",
        "trusted": True,
        "arguments": {"source": str(tree / "a"), "target": str(tree / "b")},
    }
    written = inside(tree, access="write")
    assert not judge.applies("deny", {"arguments": {"/source": written}}, **call)
    assert judge.applies("deny", {"arguments": {"/target": written}}, **call)


def test_a_link_swapped_after_the_facts_were_gathered_is_noticed(judge: Judge, tree: Path):
    rules = [{"name": "r", "action": "allow", "match": {"arguments": {"/x": inside(tree)}}}]
    policy = policy_of({"rules": rules})
    link = tree / "link"
    link.symlink_to(tree / "src")
    facts = policy.gather(attempt(arguments={"x": str(link / "f")}))
    assert facts.moved_paths() == []
    link.unlink()
    link.symlink_to(judge.folder / "secret")
    assert facts.moved_paths() == ["/x"]


MATCHERS: list[tuple[dict[str, Any], list[Any], list[Any], list[Any]]] = [
    (
        {"in": ["push", 5]},
        ["push", 5, 5.0],
        ["pull", 6, None, [], True],
        ["Push", " push", "5"],
    ),
    ({"in": ["admin"]}, ["admin"], ["user"], ["аdmin", "ａdmin", "ad\u200bmin", "ADMIN"]),  # noqa: RUF001
    ({"in": [True]}, [True], [False, 1], ["true"]),
    ({"range": {"min": 1, "below": 10}}, [1, 9.99], [0, 10, -5, 10**400], ["5", True, None]),
    ({"range": {"above": 0}}, [0.1, [1, [2]]], [0, [], [0, -1]], [["1"], {"a": 1}]),
    ({"length": {"min": 1, "max": 3}}, ["abc", [1], {"a": 1}], ["", "abcd"], [5, None]),
    ({"regex": "[a-z]+"}, ["abc"], ["abc1", "ABC", "abc\n"], [5, "a\ud800"]),
    ({"regex": "[a-z]+"}, [], [], ["abc\u200b", "ａbc"]),  # noqa: RUF001
    ({"search": "rm -rf"}, ["sudo rm -rf /"], ["rm", []], ["rm\u00a0-rf", "r\u200bm -rf"]),
    ({"type": "integer"}, [1, 2.0, 10**400], [1.5, "1", True], []),
    ({"type": "string"}, ["a"], [1, None], []),
    ({"type": "null"}, [None], [0, ""], []),
    ({"schema": {"type": "object", "required": ["a"]}}, [{"a": 1}], [{}, 1], []),
    ({"present": True}, [None, 0], [], []),
]


@pytest.mark.parametrize(("matcher", "yes", "no", "unsure"), MATCHERS)
def test_a_matcher_says_yes_no_or_that_it_cannot_tell(
    judge: Judge, matcher: dict[str, Any], yes: list[Any], no: list[Any], unsure: list[Any]
):
    def both(value: Any) -> tuple[bool, bool]:
        return judge.argument("deny", matcher, value), judge.argument("allow", matcher, value)

    for value in yes:
        assert both(value) == (True, True), value
    for value in no:
        assert both(value) == (False, False), value
    for value in unsure:
        assert both(value) == (True, False), value


LISTS: list[tuple[dict[str, Any], list[Any], list[Any], list[Any]]] = [
    (
        {"in": ["admin", ["a", "b"]]},
        [["admin"], ["admin", ["admin"]], ["a", "b"]],
        [["user"], [], ["user", ["guest"]]],
        [["admin", "user"], ["Admin"], [["ADMIN"], "user"], {"name": "admin"}, [{"name": "admin"}]],
    ),
    ({"range": {"max": 9}}, [[1, 9]], [[10, 11]], [[1, 10], ["1"], [None], {"n": 1}]),
    (
        {"regex": "[a-z]+"},
        [["abc"]],
        [["1"], [" "]],
        [["abc", "1"], ["ab", "c"], ["abc", 5], {"a": "abc"}],
    ),
    (
        {"search": "rm -rf"},
        [["rm -rf", "rm -rf /"]],
        [["ls", "-l"]],
        [["rm", "-rf", "/"], ["rm -", "rf"], ["ls", "rm -rf"], ["rm\u200b", "-rf"]],
    ),
    ({"url": {"host": ["a.com"]}}, [["http://a.com"]], [["http://b.com"]], [["http://a.com", "x"]]),
    (
        {"path": {"inside": ["/srv/a"]}},
        [["/srv/a/1", ["/srv/a/2"]]],
        [["/srv/b"]],
        [["/srv/a/1", "/srv/a/../b"], [{"path": "/srv/a"}]],
    ),
]
"""A matcher, lists of which all elements match, none does, and some do or cannot be told."""


@pytest.mark.parametrize(("matcher", "every", "none", "some"), LISTS)
def test_a_list_matches_by_its_elements_all_of_them_to_loosen_and_any_to_tighten(
    judge: Judge, matcher: dict[str, Any], every: list[Any], none: list[Any], some: list[Any]
):
    found = {
        json.dumps(value): (
            judge.argument("allow", matcher, value),
            judge.argument("ask", matcher, value),
            judge.argument("deny", matcher, value),
        )
        for value in (*every, *none, *some)
    }
    wanted = {json.dumps(value): (True, True, True) for value in every}
    wanted |= {json.dumps(value): (False, False, False) for value in none}
    wanted |= {json.dumps(value): (False, True, True) for value in some}
    assert found == wanted


def test_what_is_about_a_list_itself_is_not_asked_of_its_elements(judge: Judge):
    assert judge.argument("allow", {"length": {"max": 1}}, ["abcdef"])
    assert judge.argument("allow", {"type": "array"}, ["a"])
    assert not judge.argument("deny", {"type": "string"}, ["a"])


def test_a_link_in_a_list_of_paths_is_looked_at_again_before_the_call(judge: Judge, tmp_path: Path):
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "one")
    matcher = {"/x": {"path": {"inside": [str(tmp_path)]}}}
    rule = {"name": "r", "action": "deny", "match": {"arguments": matcher}}
    facts = policy_of({"rules": [rule]}).gather(attempt(arguments={"x": [str(link)]}))
    link.unlink()
    link.symlink_to(tmp_path / "two")
    assert facts.moved_paths() == ["/x/0"]


def test_an_absent_argument_matches_only_where_absence_is_asked_for(judge: Judge):
    assert not judge.applies("deny", {"arguments": {"/x": {"in": ["a"]}}})
    assert judge.applies("allow", {"arguments": {"/x": {"present": False}}})
    assert not judge.applies("allow", {"arguments": {"/x": {"present": True}}})


@pytest.mark.parametrize("name", ["Path", "path ", "ｐath", "раth", "pa\u200bth", "PATH"])  # noqa: RUF001
def test_an_argument_whose_name_looks_like_the_rules_makes_it_the_stricter(judge: Judge, name: str):
    match = {"arguments": {"/path": {"in": ["safe"]}}}
    assert not judge.applies("allow", match, arguments={"path": "safe", name: "evil"})
    assert judge.applies("deny", match, arguments={name: "evil"})
    assert judge.applies("deny", match, arguments={"path": "other", name: "safe"})


def test_to_loosen_every_value_has_to_match_and_to_tighten_any(judge: Judge):
    match = {"arguments": {"/to/*/name": {"in": ["a", "b"]}}}
    several = {"to": [{"name": "a"}, {"name": "evil"}]}
    assert judge.applies("deny", match, arguments=several)
    assert not judge.applies("allow", match, arguments=several)
    assert judge.applies("allow", match, arguments={"to": [{"name": "a"}, {"name": "b"}]})
    assert not judge.applies("allow", match, arguments={"to": []})
    # An exception to a deny loosens, so each value has to match it.
    excepted = [{"arguments": {"/to/*/name": {"in": ["a"]}}}]
    call = attempt(arguments=several)
    assert judge.decide("deny", {}, call, excepting=excepted).action == "deny"


def test_a_value_is_found_at_any_depth(judge: Judge):
    match = {"arguments": {"/**": {"search": "BEGIN PRIVATE KEY"}}}
    nested = {"a": [{"b": {"c": "-----BEGIN PRIVATE KEY-----"}}]}
    assert judge.applies("deny", match, arguments=nested)
    assert not judge.applies("deny", match, arguments={"a": [{"b": {"c": "nothing"}}, ["d"]]})
    escaped = {"arguments": {"/a~1b/~0c": {"in": [1]}}}
    assert judge.applies("allow", escaped, arguments={"a/b": {"~c": 1}})


def test_other_arguments_can_be_ruled_out(judge: Judge):
    match = {"arguments": {"/path": {"present": True}}, "only_arguments": True}
    assert judge.applies("allow", match, arguments={"path": "x"})
    assert not judge.applies("allow", match, arguments={"path": "x", "to": "y"})


def test_a_hostile_text_does_not_make_an_expression_slow(judge: Judge):
    text = "a" * 200_000 + "!"
    assert not judge.argument("deny", {"regex": "(a+)+b"}, text)
    schema = {"type": "string", "pattern": "^(a+)+$"}
    assert not judge.argument("deny", {"schema": schema}, text)
