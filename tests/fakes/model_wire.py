"""How model providers write a reply: whole and in pieces, in each of their formats."""

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """One answer of a provider.

    Attributes:
        calls: Tool name and arguments; arguments that are text are sent as they are.
        status: HTTP status; from 400 on `error` is the message and `kind` the provider's word.
        cut: End the connection in the middle of the body.
        raw: Sent as the body instead of anything sensible.
        files: Media type and content of what comes with the text.
        cached: How many of the tokens read were in the prompt cache.
        refusal: Why nothing is answered, in the format's own place for it.
        breaks: In the middle of a stream: the provider's word that it failed; `raw` is a piece of
            the stream that is no JSON.
    """

    text: str = "Hello there."
    calls: tuple[tuple[str, Any], ...] = ()
    thinking: str = ""
    status: int = 200
    error: str = ""
    kind: str = ""
    headers: dict[str, str] = field(default_factory=dict[str, str])
    cut: bool = False
    raw: bytes | None = None
    finish: str = ""
    tokens: tuple[int, int] = (11, 7)
    files: tuple[tuple[str, bytes], ...] = ()
    cached: int = 0
    breaks: str = ""
    refusal: str = ""


def arguments(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def sounds(answer: Answer) -> list[bytes]:
    return [content for kind, content in answer.files if kind.startswith("audio/")]


def pictures(answer: Answer) -> list[Json]:
    return [
        {"type": "image_url", "image_url": {"url": f"data:{kind};base64,{encoded(content)}"}}
        for kind, content in answer.files
        if kind.startswith("image/")
    ]


def halves(text: str) -> tuple[str, str]:
    return text[: len(text) // 2], text[len(text) // 2 :]


def anthropic(answer: Answer, model: str) -> Json:
    blocks: list[Json] = []
    if answer.thinking:
        blocks.append({"type": "thinking", "thinking": answer.thinking, "signature": "signed"})
    if answer.text:
        blocks.append({"type": "text", "text": answer.text})
    for number, (name, given) in enumerate(answer.calls):
        blocks.append({"type": "tool_use", "id": f"toolu_{number}", "name": name, "input": given})
    return {
        "id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": blocks,
        "stop_reason": answer.finish or _stop_reason(answer),
        "stop_sequence": None, "stop_details": _stop_details(answer),
        "usage": {
            "input_tokens": answer.tokens[0] - answer.cached, "output_tokens": answer.tokens[1],
            "cache_read_input_tokens": answer.cached,
        },
    }  # fmt: skip


def _stop_reason(answer: Answer) -> str:
    if answer.refusal:
        return "refusal"
    return "tool_use" if answer.calls else "end_turn"


def _stop_details(answer: Answer) -> Json | None:
    if not answer.refusal:
        return None
    return {"type": "refusal", "category": None, "explanation": answer.refusal}


def anthropic_stream(answer: Answer, model: str) -> Iterator[tuple[str, Json]]:
    whole = anthropic(answer, model)
    start: Json = {**whole, "content": [], "stop_reason": None, "stop_details": None}
    yield "message_start", {"type": "message_start", "message": start}
    for index, block in enumerate(whole["content"]):
        if block["type"] == "text":
            empty: Json = {"type": "text", "text": ""}
            deltas: list[Json] = [
                {"type": "text_delta", "text": part} for part in halves(block["text"])
            ]
        elif block["type"] == "thinking":
            empty = {"type": "thinking", "thinking": "", "signature": ""}
            deltas = [
                {"type": "thinking_delta", "thinking": block["thinking"]},
                {"type": "signature_delta", "signature": block["signature"]},
            ]
        else:
            empty = {**block, "input": {}}
            written = arguments(block["input"])
            deltas = [{"type": "input_json_delta", "partial_json": p} for p in halves(written)]
        opening = {"type": "content_block_start", "index": index, "content_block": empty}
        yield "content_block_start", opening
        for delta in deltas:
            body = {"type": "content_block_delta", "index": index, "delta": delta}
            yield "content_block_delta", body
        yield "content_block_stop", {"type": "content_block_stop", "index": index}
    delta = {name: whole[name] for name in ("stop_reason", "stop_sequence", "stop_details")}
    yield "message_delta", {"type": "message_delta", "delta": delta, "usage": whole["usage"]}
    yield "message_stop", {"type": "message_stop"}


def _chat_usage(answer: Answer) -> Json:
    read, wrote = answer.tokens
    return {
        "prompt_tokens": read, "completion_tokens": wrote, "total_tokens": read + wrote,
        "prompt_tokens_details": {"cached_tokens": answer.cached},
    }  # fmt: skip


def _chat_calls(answer: Answer) -> list[Json]:
    return [
        {
            "index": number, "id": f"call_{number}", "type": "function",
            "function": {"name": name, "arguments": arguments(given)},
        }
        for number, (name, given) in enumerate(answer.calls)
    ]  # fmt: skip


def chat(answer: Answer, model: str) -> Json:
    message: Json = {"role": "assistant", "content": answer.text or None}
    if answer.refusal:
        message["refusal"] = answer.refusal
    if answer.thinking:
        message["reasoning_content"] = answer.thinking
    if answer.calls:
        message["tool_calls"] = [
            {name: value for name, value in call.items() if name != "index"}
            for call in _chat_calls(answer)
        ]
    for sound in sounds(answer):
        message |= {"content": None}
        message["audio"] = {
            "id": "audio_1", "data": encoded(sound), "expires_at": 9, "transcript": answer.text,
        }  # fmt: skip
    if pictures(answer):
        message["images"] = pictures(answer)
    finish = answer.finish or ("tool_calls" if answer.calls else "stop")
    return {
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": _chat_usage(answer),
    }  # fmt: skip


def chat_stream(answer: Answer, model: str) -> Iterator[tuple[str, Json]]:
    def chunk(delta: Json, finish: str | None = None) -> tuple[str, Json]:
        return "", {
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model,
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        }  # fmt: skip

    yield chunk({"role": "assistant", "content": ""})
    if answer.refusal:
        yield chunk({"refusal": answer.refusal})
    if answer.thinking:
        yield chunk({"reasoning_content": answer.thinking})
    for sound in sounds(answer):
        yield chunk({"audio": {"id": "audio_1", "transcript": answer.text}})
        for piece in (sound[:2], sound[2:]):
            yield chunk({"audio": {"data": encoded(piece)}})
    for part in halves(answer.text) if answer.text and not sounds(answer) else ():
        yield chunk({"content": part})
    if pictures(answer):
        yield chunk({"images": pictures(answer)})
    for call in _chat_calls(answer):
        first, second = halves(call["function"]["arguments"])
        yield chunk(
            {"tool_calls": [{**call, "function": {**call["function"], "arguments": first}}]}
        )
        more = {"index": call["index"], "function": {"arguments": second}}
        yield chunk({"tool_calls": [more]})
    yield chunk({}, answer.finish or ("tool_calls" if answer.calls else "stop"))
    last = chunk({})[1]
    yield "", {**last, "choices": [], "usage": _chat_usage(answer)}


def responses(answer: Answer, model: str) -> Json:
    output: list[Json] = []
    if answer.thinking:
        summary = [{"type": "summary_text", "text": answer.thinking}]
        output.append({"type": "reasoning", "id": "rs_1", "summary": summary})
    if answer.text or answer.refusal:
        content: list[Json] = [
            {"type": "output_text", "text": answer.text, "annotations": [], "logprobs": []}
        ]
        if answer.refusal:
            content = [{"type": "refusal", "refusal": answer.refusal}]
        output.append(
            {
                "type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
                "content": content,
            }
        )  # fmt: skip
    output += [
        {
            "type": "image_generation_call", "id": "ig_1", "status": "completed",
            "result": encoded(content), "output_format": "png",
        }
        for _, content in answer.files
    ]  # fmt: skip
    for number, (name, given) in enumerate(answer.calls):
        output.append(
            {
                "type": "function_call", "id": f"fc_{number}", "call_id": f"call_{number}",
                "name": name, "arguments": arguments(given), "status": "completed",
            }
        )  # fmt: skip
    read, wrote = answer.tokens
    return {
        "id": "resp_1", "object": "response", "created_at": 1,
        "status": "incomplete" if answer.finish else "completed",
        "model": model, "output": output, "parallel_tool_calls": True, "tool_choice": "auto",
        "tools": [], "temperature": 1, "top_p": 1, "metadata": {}, "error": None,
        "incomplete_details": {"reason": answer.finish} if answer.finish else None,
        "instructions": None,
        "usage": {
            "input_tokens": read, "output_tokens": wrote, "total_tokens": read + wrote,
            "input_tokens_details": {"cached_tokens": answer.cached, "cache_write_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        },
    }  # fmt: skip


def responses_stream(answer: Answer, model: str) -> Iterator[tuple[str, Json]]:
    whole = responses(answer, model)
    events: list[Json] = [
        {"type": "response.created", "response": {**whole, "status": "in_progress", "output": []}}
    ]
    for index, item in enumerate(whole["output"]):
        place = {"output_index": index, "item_id": item["id"]}
        if item["type"] == "message":
            empty: Json = {**item, "content": [], "status": "in_progress"}
            part: Json = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
            events += [
                {"type": "response.output_item.added", "output_index": index, "item": empty},
                {"type": "response.content_part.added", **place, "content_index": 0, "part": part},
            ]
            if answer.refusal:
                said: Json = {"content_index": 0, "delta": answer.refusal}
                events.append({"type": "response.refusal.delta", **place, **said})
            for piece in halves(answer.text) if answer.text else ():
                delta: Json = {"content_index": 0, "delta": piece, "logprobs": []}
                events.append({"type": "response.output_text.delta", **place, **delta})
        elif item["type"] == "reasoning":
            events += [
                {
                    "type": "response.output_item.added", "output_index": index,
                    "item": {**item, "summary": []},
                },
                {
                    "type": "response.reasoning_summary_part.added", **place, "summary_index": 0,
                    "part": {"type": "summary_text", "text": ""},
                },
                {
                    "type": "response.reasoning_summary_text.delta", **place, "summary_index": 0,
                    "delta": answer.thinking,
                },
            ]  # fmt: skip
        elif item["type"] == "image_generation_call":
            empty = {**item, "result": None, "status": "in_progress"}
            events.append(
                {"type": "response.output_item.added", "output_index": index, "item": empty}
            )
        else:
            empty = {**item, "arguments": "", "status": "in_progress"}
            added = {"type": "response.output_item.added", "output_index": index, "item": empty}
            events.append(added)
            for piece in halves(item["arguments"]):
                kind = "response.function_call_arguments.delta"
                events.append({"type": kind, **place, "delta": piece})
        events.append({"type": "response.output_item.done", "output_index": index, "item": item})
    events.append({"type": f"response.{whole['status']}", "response": whole})
    for number, event in enumerate(events):
        yield event["type"], {**event, "sequence_number": number}


def _blocked(answer: Answer, model: str) -> Json:
    feedback = {"blockReason": "SAFETY", "blockReasonMessage": answer.refusal}
    return {**_gemini(answer, model, [], None), "candidates": [], "promptFeedback": feedback}


def gemini(answer: Answer, model: str) -> Json:
    if answer.refusal:
        return _blocked(answer, model)
    parts: list[Json] = [{"text": answer.thinking, "thought": True}] if answer.thinking else []
    parts += [{"text": answer.text}] if answer.text else []
    parts += inline(answer)
    parts += [{"functionCall": {"name": name, "args": given}} for name, given in answer.calls]
    return _gemini(answer, model, parts, answer.finish or "STOP")


def inline(answer: Answer) -> list[Json]:
    return [
        {"inlineData": {"mimeType": kind, "data": encoded(content)}}
        for kind, content in answer.files
    ]


def _gemini(answer: Answer, model: str, parts: list[Json], finish: str | None) -> Json:
    candidate: Json = {"content": {"role": "model", "parts": parts}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    read, wrote = answer.tokens
    return {
        "candidates": [candidate], "modelVersion": model, "responseId": "r1",
        "usageMetadata": {
            "promptTokenCount": read, "candidatesTokenCount": wrote,
            "totalTokenCount": read + wrote, "cachedContentTokenCount": answer.cached,
        },
    }  # fmt: skip


def gemini_stream(answer: Answer, model: str) -> Iterator[tuple[str, Json]]:
    if answer.refusal:
        yield "", _blocked(answer, model)
        return
    if answer.thinking:
        yield "", _gemini(answer, model, [{"text": answer.thinking, "thought": True}], None)
    for part in halves(answer.text) if answer.text else ():
        yield "", _gemini(answer, model, [{"text": part}], None)
    calls = [{"functionCall": {"name": name, "args": given}} for name, given in answer.calls]
    calls = [*inline(answer), *calls]
    yield "", _gemini(answer, model, calls, answer.finish or "STOP")


def anthropic_error(answer: Answer) -> Json:
    return {"type": "error", "error": {"type": answer.kind, "message": answer.error}}


def openai_error(answer: Answer) -> Json:
    return {"error": {"message": answer.error, "type": answer.kind, "code": answer.kind or None}}


def gemini_error(answer: Answer) -> Json:
    return {"error": {"code": answer.status, "message": answer.error, "status": answer.kind}}


def responses_break(answer: Answer) -> Json:
    return {
        "type": "error", "code": "server_error", "message": answer.breaks, "param": None,
        "sequence_number": 99,
    }  # fmt: skip


@dataclass(frozen=True)
class Wire:
    """A format; `ends` is sent after the last event of a stream, `lines` is one that has no events.

    `fails` is the event by which a stream says that it failed.
    """

    whole: Callable[[Answer, str], Json]
    stream: Callable[[Answer, str], Iterator[tuple[str, Json]]]
    error: Callable[[Answer], Json]
    ends: str = ""
    lines: bool = False
    fails: Callable[[Answer], Json] | None = None

    def event(self, name: str, text: str) -> str:
        if self.lines:
            return f"{text}\n"
        return f"event: {name}\ndata: {text}\n\n" if name else f"data: {text}\n\n"

    def failure(self, answer: Answer) -> str:
        """Return the event by which a stream says that it failed."""
        said = Answer(status=500, error=answer.breaks, kind="api_error")
        body = self.fails(answer) if self.fails else self.error(said)
        return self.event(str(body.get("type", "")), json.dumps(body))


ANTHROPIC = Wire(anthropic, anthropic_stream, anthropic_error)
CHAT = Wire(chat, chat_stream, openai_error, "data: [DONE]\n\n")
RESPONSES = Wire(responses, responses_stream, openai_error, fails=responses_break)
GEMINI = Wire(gemini, gemini_stream, gemini_error)
