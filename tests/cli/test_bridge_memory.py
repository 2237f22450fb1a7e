"""What the bridge tells a new daemon: what still holds, and nothing that was undone."""

import json

from host.cli.bridge import Bridge


def told(*requests: tuple[str, dict[str, str]]) -> list[tuple[str, dict[str, str]]]:
    """What a bridge would say again after these requests."""
    bridge = Bridge([])
    for number, (method, params) in enumerate(requests):
        message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        bridge._note(json.dumps(message).encode() + b"\n")
    again = [json.loads(line) for line in bridge._remembered.values()]
    return [(one["method"], one["params"]) for one in again]


A, B = {"uri": "a://1"}, {"uri": "b://2"}


def test_a_subscription_that_was_ended_is_not_made_again():
    subscribe, unsubscribe = "resources/subscribe", "resources/unsubscribe"
    assert told((subscribe, A), (subscribe, B), (unsubscribe, A)) == [(subscribe, B)]
    assert told((subscribe, A), (unsubscribe, A), (subscribe, A)) == [(subscribe, A)]


def test_only_the_last_log_level_is_said_again():
    level = "logging/setLevel"
    assert told((level, {"level": "debug"}), (level, {"level": "error"})) == [
        (level, {"level": "error"})
    ]
