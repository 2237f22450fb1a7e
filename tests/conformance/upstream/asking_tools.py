"""Tools that ask the client: elicitation, sampling and roots, in whichever way the era has."""

import json

from tests.conformance.upstream.call import ROOTS, Call, content_of, elicitation, sampling
from tests.conformance.upstream.content import result, text
from tests.conformance.upstream.hub import JSON
from tests.conformance.upstream.tool import properties, tool

_NAME: JSON = {"name": {"type": "string"}}
_OK: JSON = {"ok": {"type": "boolean"}}


def _completed(answer: JSON) -> JSON:
    content = json.dumps(answer.get("content"))
    return result(text(f"Elicitation completed: action={answer['action']}, content={content}"))


def _greeting(answer: JSON) -> str:
    return f"Hello, {content_of(answer).get('name', 'stranger')}!"


@tool("test_sampling", "Asks the client's model.", properties("prompt", prompt="string"))
async def ask_model(call: Call) -> JSON:
    answers = await call.ask({"sample": sampling(call.arguments["prompt"])})
    return result(text(f"LLM response: {answers['sample']['content']['text']}"))


@tool("test_missing_capability", "Needs a client that declares sampling.")
async def missing_capability(call: Call) -> JSON:
    answers = await call.ask({"sample": sampling("Say yes.")})
    return result(text(answers["sample"]["content"]["text"]))


@tool("test_list_roots", "Asks for the client's roots.")
async def list_roots(call: Call) -> JSON:
    answers = await call.ask({"roots": ROOTS})
    return result(text(json.dumps([root["uri"] for root in answers["roots"]["roots"]])))


@tool(
    "test_elicitation",
    "Asks for a user name and an address.",
    properties("message", message="string"),
)
async def ask_user(call: Call) -> JSON:
    fields: JSON = {
        "username": {"type": "string", "description": "User's response"},
        "email": {"type": "string", "description": "User's email address"},
    }
    request = elicitation(call.arguments["message"], fields, required=["username", "email"])
    answer = (await call.ask({"user": request}))["user"]
    content = json.dumps(answer.get("content"))
    return result(text(f"User response: action={answer['action']}, content={content}"))


@tool("test_streaming_elicitation", "Reports progress and then asks for a confirmation.")
async def ask_after_progress(call: Call) -> JSON:
    await call.progress(1, 2, "about to ask")
    answers = await call.ask({"confirm": elicitation("Go on?", _OK, required=["ok"])})
    return _completed(answers["confirm"])


@tool("test_elicitation_sep1034_defaults", "Asks with a default for every primitive type.")
async def ask_with_defaults(call: Call) -> JSON:
    status = {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"}
    fields: JSON = {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": status,
        "verified": {"type": "boolean", "default": True},
    }
    return _completed((await call.ask({"form": elicitation("Your profile?", fields)}))["form"])


def _titled(word: str) -> list[JSON]:
    ordinals = ("First", "Second", "Third")
    return [{"const": f"value{n}", "title": f"{o} {word}"} for n, o in enumerate(ordinals, 1)]


@tool("test_elicitation_sep1330_enums", "Asks with every kind of choice.")
async def ask_with_choices(call: Call) -> JSON:
    options = ["option1", "option2", "option3"]
    legacy = {
        "type": "string",
        "enum": ["opt1", "opt2", "opt3"],
        "enumNames": ["Option One", "Option Two", "Option Three"],
    }
    fields: JSON = {
        "untitledSingle": {"type": "string", "enum": options},
        "titledSingle": {"type": "string", "oneOf": _titled("Option")},
        "legacyEnum": legacy,
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": options}},
        "titledMulti": {"type": "array", "items": {"anyOf": _titled("Choice")}},
    }
    return _completed((await call.ask({"form": elicitation("Choose.", fields)}))["form"])


@tool("test_url_elicitation", "Sends the user to a page.", properties(url="string"))
async def ask_by_url(call: Call) -> JSON:
    url = call.arguments.get("url", "http://127.0.0.1/consent")
    params: JSON = {"mode": "url", "message": "Please confirm on the page.", "url": url}
    request = {"method": "elicitation/create", "params": {**params, "elicitationId": "consent-1"}}
    return _completed((await call.ask({"consent": request}))["consent"])


@tool(
    "test_many_elicitations",
    "Asks as many questions at once as it is told to.",
    properties("count", count="integer"),
)
async def ask_many(call: Call) -> JSON:
    count = int(call.arguments["count"])
    requests = {f"q{n}": elicitation(f"Question {n}?", _OK) for n in range(count)}
    answers = await call.ask(requests)
    accepted = sum(answer["action"] == "accept" for answer in answers.values())
    return result(text(f"{accepted} of {count} accepted."))


@tool("test_input_required_result_elicitation", "Asks for a name.")
async def round_elicitation(call: Call) -> JSON:
    request = elicitation("What is your name?", _NAME, required=["name"])
    return result(text(_greeting((await call.ask({"user_name": request}))["user_name"])))


@tool("test_input_required_result_sampling", "Asks the client's model for a capital.")
async def round_sampling(call: Call) -> JSON:
    request = sampling("What is the capital of France?")
    answers = await call.ask({"capital_question": request})
    return result(text(answers["capital_question"]["content"]["text"]))


@tool("test_input_required_result_list_roots", "Asks for the client's roots.")
async def round_roots(call: Call) -> JSON:
    roots = (await call.ask({"client_roots": ROOTS}))["client_roots"]["roots"]
    return result(text(f"Roots: {', '.join(root['uri'] for root in roots)}"))


@tool("test_input_required_result_request_state", "Asks, keeping state in the client.", sealed=True)
async def round_state(call: Call) -> JSON:
    await call.ask({"confirm": elicitation("Please confirm", _OK, required=["ok"])})
    return result(text("state-ok"))


@tool("test_input_required_result_multiple_inputs", "Asks three things at once.", sealed=True)
async def round_multiple(call: Call) -> JSON:
    answers = await call.ask(
        {
            "user_name": elicitation("What is your name?", _NAME, required=["name"]),
            "greeting": sampling("Generate a greeting", tokens=50),
            "client_roots": ROOTS,
        }
    )
    return result(text(f"{_greeting(answers['user_name'])} {len(answers)} answers."))


@tool("test_input_required_result_multi_round", "Asks twice, one after the other.", sealed=True)
async def round_twice(call: Call) -> JSON:
    name = elicitation("Step 1: What is your name?", _NAME, required=["name"])
    first = await call.ask({"step1": name})
    color: JSON = {"color": {"type": "string"}}
    request = elicitation("Step 2: What is your favorite color?", color, required=["color"])
    second = await call.ask({"step2": request})
    liked = content_of(second["step2"]).get("color")
    return result(text(f"{_greeting(first['step1'])} You like {liked}."))


@tool("test_input_required_result_tampered_state", "Asks, with a signed state.", sealed=True)
async def round_signed(call: Call) -> JSON:
    await call.ask({"confirm": elicitation("Please confirm", _OK, required=["ok"])})
    return result(text("The state came back unchanged."))


@tool("test_input_required_result_capabilities", "Asks only what the client declared.")
async def round_declared(call: Call) -> JSON:
    possible: dict[str, JSON] = {
        "elicitation": elicitation("Please confirm", _OK),
        "sampling": sampling("Say yes."),
        "roots": ROOTS,
    }
    declared = call.capabilities()
    requests = {name: request for name, request in possible.items() if name in declared}
    answers = await call.ask(requests)
    return result(text(f"Asked for {', '.join(sorted(answers)) or 'nothing'}."))
