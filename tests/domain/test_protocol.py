import mcp_types
from mcp_types import jsonrpc as sdk_jsonrpc
from mcp_types import methods, version

from host.domain import jsonrpc, protocol


def test_the_revisions_are_those_of_the_sdk():
    assert protocol.HANDSHAKE_VERSIONS == version.HANDSHAKE_PROTOCOL_VERSIONS
    assert protocol.STATELESS_VERSIONS == version.MODERN_PROTOCOL_VERSIONS


def test_the_reserved_keys_are_those_of_the_sdk():
    assert protocol.META_VERSION == mcp_types.PROTOCOL_VERSION_META_KEY
    assert protocol.META_CLIENT_INFO == mcp_types.CLIENT_INFO_META_KEY
    assert protocol.META_CLIENT_CAPABILITIES == mcp_types.CLIENT_CAPABILITIES_META_KEY
    assert protocol.META_SERVER_INFO == mcp_types.SERVER_INFO_META_KEY


def test_the_interactive_methods_are_those_of_the_sdk():
    assert set(protocol.INTERACTIVE_METHODS) == set(methods.INPUT_REQUIRED_METHODS)


def test_every_question_a_server_may_ask_is_known():
    asked = {method for method, _ in methods.SERVER_REQUESTS} - {"ping"}
    assert set(protocol.CLIENT_METHODS) == asked


def test_the_error_codes_are_those_of_the_sdk():
    names = {
        "HEADER_MISMATCH": jsonrpc.HEADER_MISMATCH,
        "MISSING_REQUIRED_CLIENT_CAPABILITY": jsonrpc.MISSING_CLIENT_CAPABILITY,
        "UNSUPPORTED_PROTOCOL_VERSION": jsonrpc.UNSUPPORTED_PROTOCOL_VERSION,
        "PARSE_ERROR": jsonrpc.PARSE_ERROR,
    }
    assert {name: getattr(sdk_jsonrpc, name) for name in names} == names
