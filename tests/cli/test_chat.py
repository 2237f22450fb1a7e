"""`host chat` and `host run` as a person uses them: in a pseudo-terminal, with a real daemon."""

import base64
import json
import sys

import pytest

from tests.fakes.home import Home
from tests.fakes.model_provider import model_provider

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are Unix's")


def test_chat_streams_an_answer_and_shows_the_calls_folded(home: Home) -> None:
    terminal = home.terminal("chat", "demo")
    try:
        terminal.wait_for("demo>")
        terminal.type("what is in my folder?\r")
        terminal.wait_for("→ files__list {}")
        terminal.wait_for("← files__list")
        terminal.wait_for("notes.txt")
        terminal.wait_for("demo>")
        terminal.type("/cost\r")
        terminal.wait_for("1 message\n")
        terminal.type("/quit\r")
        assert terminal.wait() == 0
    finally:
        terminal.close()


def test_ctrl_c_stops_the_step_and_not_the_program(home: Home) -> None:
    terminal = home.terminal("chat", "slow")
    try:
        terminal.wait_for("slow>")
        terminal.type("hurry\r")
        runs: list[dict[str, str]] = []
        while not any(run["title"] == "hurry" for run in runs):
            runs = json.loads(home.host("runs", "list", "--json").stdout)
        terminal.type("\x03")
        terminal.wait_for("stopped.")
        terminal.wait_for("slow>")
        terminal.type("\x04")
        assert terminal.wait() == 0
        found = json.loads(home.host("runs", "list", "--json", "--agent", "slow").stdout)
        assert found[0]["status"] == "cancelled"
    finally:
        terminal.close()


def test_conversation_is_saved_and_taken_up_again(home: Home) -> None:
    said = "remember the milk\n/save my shopping\n/quit\n"
    shown = home.host("chat", "demo", stdin=said).stdout
    assert "`host chat --resume 'my shopping'` goes on with it." in " ".join(shown.split())
    again = home.host("chat", "--resume", "my shopping", stdin="/export\n/undo\n/quit\n")
    assert "You talk with demo." in again.stdout
    assert "remember the milk" in again.stdout
    assert "Taken back" in again.stdout


def test_wrong_command_names_the_nearest(home: Home) -> None:
    shown = home.host("chat", "demo", stdin="/agent\n/quit\n").stdout
    assert "/agents" in shown


def test_host_chooses_the_agent_and_says_why(home: Home) -> None:
    home.agent("cook", [{"reply": "Soup."}], description="Knows recipes for soups and bread.")
    shown = home.host("chat", stdin="a recipe for bread\n/quit\n").stdout
    assert "cook speaks of bread, recipe" in shown


def test_run_prints_the_answer_alone_on_standard_output(home: Home) -> None:
    done = home.host("run", "demo", "--quiet", stdin="what is in the folder")
    assert done.returncode == 0
    assert "notes.txt" in done.stdout
    assert "→" not in done.stdout + done.stderr


def test_run_with_a_schema_prints_json_that_fits(home: Home) -> None:
    home.agent("count", [{"json": {"count": 3}}])
    schema = {
        "type": "object",
        "properties": {"count": {"type": "integer"}},
        "required": ["count"],
    }
    done = home.host("run", "count", "How many?", "--schema", json.dumps(schema))
    assert json.loads(done.stdout) == {"count": 3}


def test_files_of_an_answer_are_saved_and_told_of_and_in_the_json(home: Home) -> None:
    picture = {"media_type": "image/png", "data": "iVBORw0KGgo="}
    home.agent("painter", [{"reply": "Here.", "files": [picture]}])
    done = home.host("run", "painter", "Paint")
    [saved] = (home.folder / "work").glob("*-1.png")
    assert saved.read_bytes() == base64.b64decode(picture["data"])
    assert (done.stdout, done.stderr) == ("Here.\n", f"  saved {saved.name} (image/png, 8 bytes)\n")
    told = json.loads(home.host("run", "painter", "Paint", "--json").stdout)
    assert told["files"] == [picture]
    assert "saved " in home.host("chat", "painter", stdin="Paint\n/quit\n").stdout
    assert len([*(home.folder / "work").glob("*.png")]) == 2


def test_failed_run_has_exit_status_1_and_its_message(home: Home) -> None:
    home.agent("broken", [{"error": {"fault": "auth"}}])
    done = home.host("run", "broken", "Hello")
    assert done.returncode == 1
    assert done.stderr.startswith("host: ") or "host: " in done.stderr


def test_unknown_agent_names_the_nearest(home: Home) -> None:
    for command in (("run", "demmo", "Hello"), ("chat", "demmo")):
        done = home.host(*command)
        assert done.returncode == 2
        assert "Did you mean demo?" in done.stderr


def test_wrong_input_has_exit_status_2_and_begins_no_run(home: Home) -> None:
    before = home.host("runs", "list", "--json").stdout
    for words, said in (
        (["--model", "scripted:demmo"], "Did you mean demo?"),
        (["--schema", '{"type": "strin"}'], "Did you mean string?"),
        (["--image", "notes.txt"], "no picture (text/plain). Send it with `--file notes.txt`."),
    ):
        done = home.host("run", "demo", "Hello", *words)
        assert (done.returncode, done.stdout) == (2, "")
        assert said in done.stderr
    assert home.host("runs", "list", "--json").stdout == before


def test_run_without_a_message_says_how_to_write_one(home: Home) -> None:
    done = home.host("run", "demo", stdin="")
    assert done.returncode == 2
    assert "There is no message." in done.stderr


def test_edited_agent_is_in_force_with_the_next_run(home: Home) -> None:
    home.agent("moody", [{"reply": "good"}])
    assert home.host("run", "moody", "How are you?").stdout == "good\n"
    home.agent("moody2", [{"reply": "bad"}])
    home.agent("moody", [{"reply": "unused"}], instructions="new")
    file = home.folder / "xdg" / "mcp-agent-host" / "agents" / "moody.yaml"
    file.write_text("model: scripted:moody2\n")
    assert home.host("run", "moody", "How are you?").stdout == "bad\n"


def test_call_that_needs_a_yes_is_asked_about_in_the_chat(home: Home) -> None:
    turns = [
        {"when": {"asked": True}, "calls": [{"tool": "files__append", "arguments": APPEND}]},
        {"reply": "It said: ${result}"},
    ]
    home.agent("scribe", turns, tools=["files"])
    terminal = home.terminal("chat", "scribe")
    try:
        terminal.wait_for("scribe>")
        terminal.type("add bread\r")
        terminal.wait_for("wants to call files__append")
        terminal.wait_for("Allow?")
        terminal.type("y\r")
        terminal.wait_for("It said")
        terminal.type("/quit\r")
        assert terminal.wait() == 0
        assert (home.folder / "work" / "notes.txt").read_text() == "milkbread"
    finally:
        terminal.close()


APPEND = {"path": "notes.txt", "content": "bread"}


def rewriting_agent(home: Home) -> None:
    home.agent("echo", [{"reply": "You said: ${prompt}"}])
    shorter = {"when": {"prompt": "make it shorter"}, "reply": "List files."}
    home.agent("small", [shorter, {"reply": "List the files of this folder."}])


def test_rewritten_message_is_shown_revised_and_then_sent(home: Home) -> None:
    rewriting_agent(home)
    terminal = home.terminal("run", "echo", "whats here", "--reformulate")
    try:
        terminal.wait_for("List the files of this folder.")
        terminal.wait_for("say what to change:")
        terminal.type("make it shorter\r")
        terminal.wait_for("List files.")
        terminal.wait_for("say what to change:")
        terminal.type("\r")
        terminal.wait_for("You said: List files.")
        assert terminal.wait() == 0
    finally:
        terminal.close()


def test_author_sends_the_original_an_edited_text_or_nothing(home: Home) -> None:
    rewriting_agent(home)
    for answers, said, status in (
        (["o\r"], "You said: whats here", 0),
        (["e\r", " Now.\r"], "You said: List the files of this folder. Now.", 0),
        (["q\r"], "cancelled", 130),
    ):
        terminal = home.terminal("run", "echo", "whats here", "--reformulate")
        try:
            terminal.wait_for("say what to change:")
            for answer in answers:
                terminal.type(answer)
                if answer == "e\r":
                    terminal.wait_for("message: List the files of this folder.")
            terminal.wait_for(said)
            assert terminal.wait() == status
        finally:
            terminal.close()


def test_rewritten_message_is_sent_unseen_only_if_that_was_said(home: Home) -> None:
    rewriting_agent(home)
    refused = home.host("run", "echo", "whats here", "--reformulate")
    assert refused.returncode == 2
    assert "--yes" in refused.stderr
    sent = home.host("run", "echo", "whats here", "--reformulate", "--yes")
    assert sent.stdout == "You said: List the files of this folder.\n"


def test_without_a_key_and_ollama_the_message_says_what_gets_going(home: Home) -> None:
    done = home.host("run", "assistant", "Hello")
    assert done.returncode == 1
    for command in ("host keys set", "ollama pull", "--model scripted:demo"):
        assert command in done.stderr
    tour = home.host("run", "assistant", "The tour, please", "--model", "scripted:demo", "-q")
    assert "notes.txt" in tour.stdout
    assert tour.returncode == 0


def test_every_command_of_the_chat_does_what_its_help_says(home: Home) -> None:
    home.agent("echo", [{"reply": "You said: ${prompt}"}], description="Says it again.")
    export = home.folder / "work" / "talk.md"
    # A server that is still starting is not waited for when tools are listed: have it started.
    assert "notes.txt" in home.host("run", "demo", "what is in the folder").stdout
    terminal = home.terminal("chat", "echo")

    def say(line: str, answer: str) -> str:
        terminal.type(f"{line}\r")
        found = terminal.wait_for(answer)
        terminal.wait_for(">")
        return found

    try:
        terminal.wait_for("echo>")
        say("/help", "leave")
        say("/export", "Nothing was said")
        say("/agents", "Says it again.")
        say("/model scripted:demo", "model: scripted:demo")
        say("/model -", "model: scripted:echo")
        say("first", "You said: first")
        say("second", "You said: second")
        say("/cost", "2 messages")
        say("/save talk", "Saved")
        say(f"/export {export.name}", "Written")
        say(f"/export {export.name}", "Choose another name")
        say("/undo", "Taken back")
        say("/memory tea", "Nothing.")
        say("/new", "A new conversation.")
        say("/resume", "talk")
        say("/resume talk", "You said: first")
        terminal.type("/agents demo\r")
        terminal.wait_for("demo>")
        say("/tools", "files__list")
        terminal.type("/quit\r")
        assert terminal.wait() == 0
    finally:
        terminal.close()
    assert "**echo:**\n\nYou said: second" in export.read_text()


def test_lines_are_completed_brought_back_and_may_be_several(home: Home) -> None:
    home.agent("parrot", [{"reply": "You said: ${prompt}!"}])
    terminal = home.terminal("chat", "parrot")
    try:
        terminal.wait_for("parrot>")
        terminal.type("one\x1b\rtwo\r")  # Alt-Enter between them
        terminal.wait_for("two!")
        terminal.wait_for("parrot>")
        terminal.type("\x1b[A\x1b[A\r")  # the arrow goes up a line, then to what was typed before
        terminal.wait_for("two!")
        terminal.wait_for("parrot>")
        terminal.type("/mod\t")
        terminal.wait_for("/model")
        terminal.type("\r")
        terminal.wait_for("model: scripted:parrot")
        terminal.wait_for("parrot>")
        terminal.type("/quit\r")
        assert terminal.wait() == 0
    finally:
        terminal.close()


def test_run_takes_files_and_pictures_and_prints_the_whole_outcome(home: Home) -> None:
    home.agent("echo", [{"reply": "You said: ${prompt}"}])
    picture = home.folder / "work" / "dot.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n")
    done = home.host("run", "echo", "Look", "--image", "dot.png", "--file", "notes.txt", "--json")
    outcome = json.loads(done.stdout)
    assert (outcome["status"], outcome["agent"], outcome["steps"]) == ("succeeded", "echo", 1)
    exported = home.host("runs", "export", outcome["run"]).stdout
    assert "image/png" in exported
    assert "text/plain" in exported
    assert home.host("run", "echo", "Look", "--image", "gone.png").returncode == 2


def test_cost_is_that_of_the_conversation_and_tools_are_the_agents_own(home: Home) -> None:
    usage = {"input": 30, "output": 12}
    home.agent("priced", [{"reply": "You said: ${prompt}", "usage": usage}])
    said = "first\n/save priced-talk\nsecond\n/cost\n/new\n/cost\n/tools\n/quit\n"
    shown = home.host("chat", "priced", stdin=said).stdout
    assert "84 tokens, $0.0000, 2 messages" in shown
    assert "0 tokens, $0.0000, 0 messages" in shown
    assert "priced calls no tools." in shown
    again = home.host("chat", "--resume", "priced-talk", stdin="/cost\n/quit\n").stdout
    assert "84 tokens, $0.0000, 2 messages" in again


def test_conversation_of_which_nothing_is_left_is_begun_anew(home: Home) -> None:
    home.agent("fresh", [{"reply": "You said: ${prompt}"}])
    home.host("chat", "fresh", stdin="only\n/save emptied\n/undo\n/quit\n")
    shown = home.host("chat", "fresh", "--resume", "emptied", stdin="again\n/quit\n").stdout
    assert "Nothing is left of the conversation emptied" in shown
    assert "You said: again" in shown


def test_run_says_which_parameters_were_not_sent(home: Home) -> None:
    with model_provider() as vendor:
        models = home.folder / "xdg" / "mcp-agent-host" / "models.yaml"
        before = models.read_text()
        models.write_text(json.dumps({"providers": {"mine": {"base_url": f"{vendor.url}/v1"}}}))
        home.agent("tuned", [{"reply": "unused"}], model="mine:m", parameters={"top_a": 0.5})
        try:
            plain = home.host("run", "tuned", "hello", "--quiet")
            whole = json.loads(home.host("run", "tuned", "hello", "--json").stdout)
            talk = home.host("chat", "tuned", stdin="hello\n/quit\n")
        finally:
            models.write_text(before)
    shown = home.host("runs", "show", whole["run"])
    told = [plain.stderr, str(whole["notes"]), talk.stdout, shown.stdout]
    assert all("takes no top_a" in text for text in told), told
    assert plain.stdout == "Hello there.\n"


def test_run_refuses_a_message_without_words(home: Home) -> None:
    done = home.host("run", "demo", " ")
    assert (done.returncode, "There is no message." in done.stderr) == (2, True)
