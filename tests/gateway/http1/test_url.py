"""URLs taken apart."""

import pytest

from host.gateway.http1.error import NotSentError
from host.gateway.http1.url import HttpUrl


@pytest.mark.parametrize(
    ("text", "origin", "target"),
    [
        ("http://a.test", "http://a.test", "/"),
        ("https://A.test:443/x?y=1#z", "https://a.test", "/x?y=1"),
        ("http://[::1]:8000/mcp", "http://[::1]:8000", "/mcp"),
        ("http://a.test/a b/%20é?q=ü", "http://a.test", "/a%20b/%20%C3%A9?q=%C3%BC"),
        ("http://bücher.test/", "http://xn--bcher-kva.test", "/"),
    ],
)
def test_url_becomes_origin_and_target(text: str, origin: str, target: str):
    url = HttpUrl.parse(text)
    assert (str(url.origin), url.target) == (origin, target)


def test_user_and_password_in_a_url_become_a_login():
    assert HttpUrl.parse("http://a%40b:c@d.test/").login == "Basic YUBiOmM="


@pytest.mark.parametrize("text", ["ftp://a.test", "mcp", "http://", "http://a.test:x/", "http://["])
def test_what_is_no_url_is_refused(text: str):
    with pytest.raises(NotSentError):
        HttpUrl.parse(text)


@pytest.mark.parametrize(
    ("location", "target"), [("/b", "/b"), ("c?d", "/x/c?d"), ("http://a.test/e", "/e")]
)
def test_redirect_is_resolved_against_its_url(location: str, target: str):
    assert HttpUrl.parse("http://a.test/x/y").join(location).target == target
