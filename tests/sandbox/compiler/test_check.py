"""`check` says what is wrong, where, and what to write instead."""

import pytest

from host.domain.errors import PluginRejectedError
from host.sandbox.compiler import Finding, allowed_modules, check_plugin, compile_plugin


def test_an_ordinary_plugin_has_no_findings():
    assert check_plugin("def add(a: int, b: int) -> int:\n    return a + b\n", name="p") == []


def test_each_finding_names_its_place_reason_and_remedy():
    findings = check_plugin("import os\n\nx = (lambda: 0).__globals__\n", name="p")
    assert findings == [
        Finding(
            1,
            1,
            "import os",
            "Plugins import only modules that cannot reach out.",
            "Take the value as an argument; for paths, call a file tool with host.call_tool.",
        ),
        Finding(
            3,
            5,
            ".__globals__",
            "It hands out the interpreter's own tables.",
            "Pass what the function needs as an argument.",
        ),
    ]


def test_a_syntax_error_is_a_finding():
    [finding] = check_plugin("def f(:\n", name="p")
    assert (finding.line, finding.construct) == (1, "def f(:")


@pytest.mark.parametrize("source", ["(" * 5000 + ")" * 5000, "x = 1\x00", "x" * 1_000_001])
def test_source_that_breaks_the_parser_is_a_finding(source: str):
    assert check_plugin(source, name="p")


def test_rejection_lists_every_finding():
    with pytest.raises(PluginRejectedError) as caught:
        compile_plugin("import os\neval('1')\n", name="p")
    assert "p:1:1" in str(caught.value)
    assert "p:2:1" in str(caught.value)
    assert len(caught.value.findings) == 2


def test_generated_modules_can_be_imported():
    source = (
        "from tools.github import search\nimport tools.github as g\nx = search() + g.search()\n"
    )
    plugin = compile_plugin(source, name="p", modules=["tools.github"])
    assert plugin.load(modules={"tools.github": {"search": lambda: 2}})["x"] == 4


def test_host_shows_its_public_attributes_only():
    class Host:
        def __init__(self):
            self._wire = "secret"

        def call(self):
            return 5

    namespace = compile_plugin("x = host.call()", name="p").load(host=Host())
    assert namespace["x"] == 5
    hidden = compile_plugin("x = host._wire", name="p")
    with pytest.raises(AttributeError):
        hidden.load(host=Host())


def test_text_annotations_are_compiled_before_they_are_evaluated():
    source = (
        'def f(a: "int", b: "(lambda: 0).__globals__") -> str: ...\ndef g(a: "list[int]"): ...\n'
    )
    namespace = compile_plugin(source, name="p").load()
    assert namespace.annotations(namespace["g"]) == {"a": list[int]}
    with pytest.raises(NameError):
        namespace.annotations(namespace["f"])


def test_errors_are_described_by_the_plugins_own_lines():
    namespace = compile_plugin("def f():\n    return 1 / 0\n", name="p").load()
    with pytest.raises(ZeroDivisionError) as caught:
        namespace["f"]()
    assert namespace.describe(caught.value) == "ZeroDivisionError: division by zero (at p:2)"


def test_every_module_of_the_library_can_be_imported():
    for module in allowed_modules():
        namespace = compile_plugin(f"import {module}", name="p").load()
        assert namespace[module.partition(".")[0]] is not None, module


def test_two_plugins_do_not_share_a_seed():
    source = "import random\nrandom.seed(1)\ndef roll(): return random.random()\n"
    first, second = (compile_plugin(source, name="p").load() for _ in range(2))
    first["roll"]()
    assert first["roll"]() != second["roll"]()


def test_a_rejected_import_alone_in_a_function_is_a_finding_like_any_other():
    (finding,) = check_plugin("def f():\n    from os import system\n", name="p")
    assert (finding.line, finding.construct) == (2, "import os")
    (relative,) = check_plugin("def f():\n    from . import x\n", name="p")
    assert relative.construct == "from . import"


def test_an_unknown_generated_module_is_answered_with_those_that_there_are():
    (finding,) = check_plugin("import tools.wrods", name="p", modules=["tools.words"])
    assert "tools.words" in finding.instead
    assert "json" not in finding.instead
