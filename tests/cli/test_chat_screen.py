import pytest

from host.cli.chat_screen import Screen


@pytest.mark.anyio
async def test_answer_that_comes_while_a_question_is_open_is_shown_once_it_is_closed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    screen = Screen()
    screen.interactive = True
    async with screen.asking:
        screen.hear({"kind": "delta", "data": {"text": "It said "}})
        screen.hear({"kind": "delta", "data": {"text": "no."}})
    assert capsys.readouterr().out == ""
    screen.say("It was answered elsewhere.")
    screen.pause()
    shown = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert shown == ["It said no.", "It was answered elsewhere."]
