"""How Ollama writes a reply in its own format: whole, and one JSON object a line."""

from collections.abc import Iterator

from tests.fakes.model_wire import Answer, Json, Wire, halves


def _ollama(answer: Answer, model: str, message: Json, *, last: bool) -> Json:
    made = {"model": model, "created_at": "2026-01-02T03:04:05.678Z", "done": last}
    if last:
        finish = answer.finish or "stop"
        made |= {"done_reason": finish, "total_duration": 9, "eval_count": answer.tokens[1]}
        made["prompt_eval_count"] = answer.tokens[0]
    return {**made, "message": {"role": "assistant", **message}}


def _ollama_calls(answer: Answer) -> list[Json]:
    return [{"function": {"name": name, "arguments": given}} for name, given in answer.calls]


def ollama(answer: Answer, model: str) -> Json:
    message: Json = {"content": answer.text}
    if answer.thinking:
        message["thinking"] = answer.thinking
    if answer.calls:
        message["tool_calls"] = _ollama_calls(answer)
    return _ollama(answer, model, message, last=True)


def ollama_stream(answer: Answer, model: str) -> Iterator[tuple[str, Json]]:
    for part in halves(answer.thinking) if answer.thinking else ():
        yield "", _ollama(answer, model, {"content": "", "thinking": part}, last=False)
    for part in halves(answer.text) if answer.text else ():
        yield "", _ollama(answer, model, {"content": part}, last=False)
    for call in _ollama_calls(answer):
        yield "", _ollama(answer, model, {"content": "", "tool_calls": [call]}, last=False)
    yield "", _ollama(answer, model, {"content": ""}, last=True)


def ollama_error(answer: Answer) -> Json:
    return {"error": answer.error}


OLLAMA = Wire(ollama, ollama_stream, ollama_error, lines=True)
