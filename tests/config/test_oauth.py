from typing import Any

import pytest

from host.config.oauth import OAuthClientConfig


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"client_secret": "x"}, "need a client_id"),
        ({"grant": "client_credentials"}, "needs client_id and a secret or key"),
        ({"client_metadata_url": "http://a.example/c.json"}, "must be https and have a path"),
        ({"client_metadata_url": "https://a.example/"}, "must be https and have a path"),
        ({"signing_algorithm": "HS256"}, "expected one of"),
        ({"redirect_port": 70_000}, "less than or equal"),
        ({"scope": "read"}, "not permitted"),
        ({"issuer": "login"}, "expected a web address"),
    ],
)
def test_login_settings_that_cannot_work_are_refused(settings: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        OAuthClientConfig.model_validate(settings)


def test_issuer_is_kept_letter_for_letter():
    config = OAuthClientConfig.model_validate({"issuer": "https://Login.example:443"})
    assert config.issuer == "https://Login.example:443"
