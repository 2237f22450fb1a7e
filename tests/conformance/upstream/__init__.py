"""An MCP server that offers every feature the official conformance suite asks for, and more.

It is what the host is proved and developed against: alone it passes all required server scenarios
of 2025-11-25 and 2026-07-28, so that whatever fails in front of it is the host's.

    python -m tests.conformance.upstream --http 0            # prints its URL
    python -m tests.conformance.upstream --stdio
        --era both | handshake | stateless   # handshake refuses 2026-07-28, stateless `initialize`
        --page N                             # N tools to a page of tools/list

What it offers:

* content (`plain_tools`): text, image, audio, embedded resource, link, mixed, error result,
  logging, progress, `test_slow` (cancel it; `test_cancelled_calls` counts), `test_reconnection`
* changes (`plain_tools`): `touch_resource` (resource-updated for `test://watched-resource` or any
  URI), `test_trigger_tool_change`, `..._prompt_change`, `..._resource_change` (list-changed)
* definitions (`typed_tools`): `echo` (cheapest call; title, icon, annotations, output schema,
  `_meta`), `add`, `test_any_json` (a list as structured content), `json_schema_2020_12_tool`,
  `test_x_mcp_header`, `test_app` with `ui://test/app.html` (MCP Apps), `test_unknown_fields`
  (fields and a content type of no revision), `whoami` (what it saw of its caller)
* questions (`asking_tools`): form and URL elicitation, sampling, roots, defaults, every choice,
  `test_many_elicitations`, all `test_input_required_result_*`; each works in both eras, with real
  requests over the handshake and `input_required` rounds statelessly
* the tasks extension (`tasks`), stateless era only: `slow_compute`, `failing_job`,
  `protocol_error_job`, `confirm_delete`, `multi_input`, `test_tool_with_task`
* `catalog`: resources (text, binary, watched, `test://guarded` that asks first), the template
  `test://template/{id}/data`, prompts (one asks first), completions
* caching hints on tools/list and resources/read
"""
