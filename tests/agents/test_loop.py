"""An agent asks its model, calls tools through the gateway, and writes down each step."""

from pathlib import Path

import pytest

from host.domain.errors import NotFoundError, RunLimitError
from tests.agents.scene import AnsweringSession, open_agents

pytestmark = pytest.mark.anyio


def call(name: str, **arguments: object) -> dict[str, object]:
    return {"calls": [{"tool": name, "arguments": arguments}]}


async def test_agent_calls_a_tool_and_answers_with_what_it_said(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        scene.agent("writer", [call("notes__add", text="milk"), {"reply": "Done: ${result}"}])
        outcome = await scene.ask("writer", "Note milk")
        assert outcome.status == "succeeded"
        assert outcome.text == 'Done: add: {"text": "milk"}'
        assert scene.notes.calls == [("add", {"text": "milk"})]
        assert await scene.kinds(outcome.run.id) == [
            *("started", "request", "reply", "call", "result"),
            *("request", "reply", "finished"),
        ]
        stored = await scene.host.agents.runs.get(scene.principal, outcome.run.id)
        assert (stored.status, stored.steps) == ("succeeded", 2)
        assert stored.input_tokens == outcome.run.input_tokens > 0


async def test_wrong_arguments_go_back_to_the_model_with_the_schema_error(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        turns = [call("notes__add", text=3), call("notes__add", text="three"), {"reply": "ok"}]
        scene.agent("writer", turns)
        outcome = await scene.ask("writer")
        assert scene.notes.calls == [("add", {"text": "three"})]
        events = await scene.events(outcome.run.id)
        rejected = next(event for event in events if event.kind == "rejected")
        assert "text: 3 is not of type" in rejected.data["text"]


async def test_arguments_that_are_not_json_go_back_to_the_model(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        broken = {"calls": [{"tool": "notes__add", "arguments": '{"text": '}]}
        scene.agent("writer", [broken, {"reply": "ok"}])
        outcome = await scene.ask("writer")
        assert outcome.status == "succeeded"
        assert scene.notes.calls == []
        assert "rejected" in await scene.kinds(outcome.run.id)


async def test_tool_that_the_agent_does_not_have_is_not_called(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        turns = [call("notes__add", text="x"), {"reply": "${result}"}]
        scene.agent("reader", turns, tools=["notes__r*"])
        outcome = await scene.ask("reader")
        assert outcome.status == "succeeded"
        assert scene.notes.calls == []
        assert "There is no tool 'notes__add'" in outcome.text


async def test_run_ends_at_its_limit_of_steps(store_folder: Path, tmp_path: Path) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        scene.agent("busy", [], limits={"steps": 3})
        scene.script("busy", [call("notes__read", title="a")], loop=True)
        outcome = await scene.ask("busy")
        assert outcome.status == "failed"
        assert "limit of 3 steps" in str(outcome.error)
        assert len(scene.notes.calls) == 3
        assert (await scene.kinds(outcome.run.id))[-1] == "finished"


async def test_denied_call_is_told_to_the_model_and_never_made(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path, policy="readonly") as scene:
        scene.agent("writer", [call("notes__add", text="x"), {"reply": "It said: ${result}"}])
        outcome = await scene.ask("writer")
        assert outcome.status == "succeeded"
        assert scene.notes.calls == []
        assert "was not called" in outcome.text


async def test_question_of_a_tool_reaches_the_client_and_is_written_down(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        scene.agent("asker", [call("notes__ask"), {"reply": "${result}"}])
        session = AnsweringSession(scene.principal, "cli")
        outcome = await scene.ask("asker", session=session)
        assert outcome.text == "answered: accept"
        assert session.asked == ["Really?"]
        kinds = await scene.kinds(outcome.run.id)
        assert kinds[3:7] == ["call", "question", "answer", "result"]


async def test_question_inside_a_nested_agent_reaches_the_outermost_client(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        scene.agent("inner", [call("notes__ask"), {"reply": "inner: ${result}"}])
        turns = [call("agent__inner", message="Ask them"), {"reply": "outer: ${result}"}]
        scene.agent("outer", turns, agents=["inner"])
        session = AnsweringSession(scene.principal, "cli")
        outcome = await scene.ask("outer", session=session)
        assert outcome.text == "outer: inner: answered: accept"
        assert session.asked == ["Really?"]
        family = await scene.host.agents.runs.family(scene.principal, outcome.run.id)
        assert [(run.name, run.parent, run.depth) for run in family] == [
            ("inner", outcome.run.id, 1)
        ]


async def test_nested_runs_spend_the_outer_budget(store_folder: Path, tmp_path: Path) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        scene.agent("inner", [{"reply": "hi", "usage": {"input": 900, "output": 200}}])
        turns = [call("agent__inner", message="x"), {"reply": "never"}]
        scene.agent("outer", turns, agents=["inner"], limits={"tokens": 1000})
        outcome = await scene.ask("outer")
        assert outcome.status == "failed"
        assert "limit of 1,000 tokens" in str(outcome.error)


async def test_agents_that_call_one_another_without_end_are_stopped(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        scene.agent("mirror", agents=["mirror"], tools=[])
        scene.script(
            "mirror",
            [
                {"when": {"after": "agent__mirror"}, "reply": "${result}"},
                call("agent__mirror", message="again"),
            ],
            loop=True,
        )
        outcome = await scene.ask("mirror")
        assert "6 runs are around it already, and at most 5 may be" in outcome.text
        family = await scene.host.agents.runs.family(scene.principal, outcome.run.id)
        assert len(family) == 5


async def test_conversation_is_handed_over_to_another_agent(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        scene.agent("expert", [{"reply": "unused"}, {"reply": "I am the expert."}])
        scene.agent("front", [call("hand_over_to_expert")], handoffs=["expert"])
        outcome = await scene.ask("front")
        assert (outcome.agent, outcome.text) == ("expert", "I am the expert.")
        assert "handoff" in await scene.kinds(outcome.run.id)


async def test_long_result_is_paged(store_folder: Path, tmp_path: Path) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        scene.notes.long = "a" * 400 + "THE END"
        turns = [
            call("notes__long"),
            {"calls": [{"tool": "read_more", "arguments": {"result": "nope", "offset": 0}}]},
            call("read_more", result="call_0_0", offset=407),
            {"reply": "${result}"},
        ]
        scene.agent("reader", turns, result_tokens=100)
        outcome = await scene.ask("reader")
        events = await scene.events(outcome.run.id)
        first, second, third = [event.data["text"] for event in events if event.kind == "result"]
        assert first.startswith("a" * 400 + "\n[characters 0 to 400 of 407; call read_more")
        assert "'nope'. Those that are kept: 'call_0_0'." in second
        assert third == "[it has 407 characters; its last page is at offset=400]"


async def test_long_conversation_is_summed_up_and_goes_on(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        scene.notes.long = "word " * 300
        turns = [
            {"when": {"prompt": "Sum up the conversation"}, "reply": "ALL SO FAR"},
            {"when": {"prompt": "ALL SO FAR"}, "reply": "done"},
            call("notes__long"),
            call("notes__long"),
        ]
        scene.agent("talker", turns, memory={"buffer": 700}, result_tokens=2000)
        outcome = await scene.ask("talker")
        assert outcome.status == "succeeded"
        compacted = [e for e in await scene.events(outcome.run.id) if e.kind == "compacted"]
        assert [event.data["summary"] for event in compacted] == ["ALL SO FAR"]
        assert outcome.text == "done"


async def test_conversation_goes_on_with_what_was_said(store_folder: Path, tmp_path: Path) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        scene.agent("talker", [{"reply": "first"}, {"reply": "second: ${prompt}"}])
        one = await scene.ask("talker", "A")
        two = await scene.ask("talker", "B", thread=one.run.thread)
        assert (one.text, two.text) == ("first", "second: B")
        assert two.run.thread == one.run.thread == one.run.id


async def test_unknown_agent_is_refused_with_the_nearest_name(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        scene.agent("writer", [{"reply": "x"}])
        with pytest.raises(NotFoundError, match="writer"):
            await scene.start("writr")


async def test_failing_model_ends_the_run_with_its_message(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        scene.agent("unlucky", [{"error": {"fault": "auth"}}])
        outcome = await scene.ask("unlucky")
        assert outcome.status == "failed"
        events = await scene.events(outcome.run.id)
        error = next(event for event in events if event.kind == "error")
        assert (error.data["fault"], error.data["transient"]) == ("auth", False)


async def test_hanging_tool_is_given_up_and_the_model_told(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        turns = [call("notes__wait"), {"reply": "${result}"}]
        scene.agent("patient", turns, limits={"tool_seconds": 0.05})
        outcome = await scene.ask("patient")
        assert outcome.status == "succeeded"
        assert "did not answer within 0.05 s" in outcome.text


async def test_run_out_of_time_says_so(store_folder: Path, tmp_path: Path) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        scene.agent("slow", [call("notes__wait"), {"reply": "x"}], limits={"seconds": 0.05})
        outcome = await scene.ask("slow")
        assert outcome.status == "failed"
        assert "limit of 0.05 seconds" in str(outcome.error)
        assert issubclass(RunLimitError, Exception)


async def test_answer_that_misses_its_schema_is_sent_back_and_corrected(
    store_folder: Path, tmp_path: Path
) -> None:
    schema = {
        "type": "object",
        "properties": {"answer": {"type": "integer"}},
        "required": ["answer"],
    }
    async with open_agents(store_folder, tmp_path) as scene:
        turns = [{"json": {"answer": "many"}}, {"json": {"answer": 42}}]
        scene.agent("counter", turns, output=schema)
        outcome = await scene.ask("counter")
        assert outcome.status == "succeeded"
        assert outcome.value == {"answer": 42}
        assert "rejected" in await scene.kinds(outcome.run.id)


async def test_answer_that_never_meets_its_schema_fails_after_the_repairs(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        scene.agent("stubborn", [], limits={"repairs": 1})
        scene.script("stubborn", [{"reply": "forty-two"}], loop=True)
        outcome = await scene.ask("stubborn", schema={"type": "integer"})
        assert outcome.status == "failed"
        assert "never met its schema" in str(outcome.error)
        assert (await scene.kinds(outcome.run.id)).count("reply") == 2


async def test_tool_that_an_agents_file_names_and_nobody_has_is_told(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        scene.agent("typist", [{"reply": "done"}], tools=["notes__raed", "notes__add", "*x"])
        outcome = await scene.ask("typist")
    [note] = outcome.notes
    assert note.startswith("There is no tool 'notes__raed', which the agent's file names.")
    assert "notes__read" in note
