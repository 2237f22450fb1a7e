"""An OAuth 2.1 authorization server and the MCP upstream it guards, strict and full of switches."""

import base64
import contextlib
import hashlib
import itertools
import json
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlencode

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.fakes.web import serve_web

PRM = "/.well-known/oauth-protected-resource"


@dataclass
class FakeAuthority:
    """The authorization server; tests turn its switches before the flow."""

    path: str = ""
    metadata_at: str = "oauth"
    challenge_methods: list[str] = field(default_factory=lambda: ["S256"])
    auth_methods: list[str] = field(default_factory=lambda: ["none"])
    scopes_supported: list[str] | None = None
    registration: bool = True
    documents: bool = False
    announce_iss: bool = True
    send_iss: str | None = "right"
    lifetime: int | None = 3600
    metadata_changes: dict[str, Any] = field(default_factory=dict[str, Any])
    grant_scopes: list[str] | None = None
    token_status: int | None = None
    forget: bool = False
    authorization: str = ""

    base: str = ""
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list[tuple[str, dict[str, str]]])
    clients: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    codes: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    access: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    refresh: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    keys: list[RSAKey | ECKey] = field(default_factory=list[RSAKey | ECKey])
    overrides: dict[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        self._numbers = itertools.count(1)

    @property
    def issuer(self) -> str:
        return self.base + self.path

    def rotate_key(self) -> None:
        kid = f"key-{next(self._numbers)}"
        self.keys = [ECKey.generate_key("P-256", parameters={"kid": kid, "use": "sig"})]

    def count(self, path: str) -> int:
        return sum(1 for each, _ in self.seen if each == path)

    def forms(self, grant: str) -> list[dict[str, str]]:
        return [f for path, f in self.seen if path == "/token" and f.get("grant_type") == grant]

    def mint(
        self, *, key: Any = None, algorithm: str = "ES256", header: Any = None, **claims: Any
    ) -> str:
        """Return a signed access token; None removes a claim."""
        now = int(time.time())
        if not self.keys:
            self.rotate_key()
        signing = key or self.keys[0]
        base: dict[str, Any] = {"iss": self.issuer, "sub": "ada", "client_id": "ide"}
        base |= {"iat": now, "exp": now + 600, "aud": "https://mcp.example.com/mcp"}
        claims = {name: value for name, value in (base | claims).items() if value is not None}
        top: dict[str, Any] = {"alg": algorithm, "kid": signing.kid, "typ": "at+jwt"} | (
            header or {}
        )
        return jwt.encode(top, claims, signing, algorithms=[algorithm])

    def issue(self, *, scopes: str, resource: str, client: str) -> dict[str, Any]:
        granted = " ".join(self.grant_scopes) if self.grant_scopes is not None else scopes
        token, again = f"at-{next(self._numbers)}", f"rt-{next(self._numbers)}"
        if not self.forget:
            self.access[token] = {"scope": granted, "resource": resource, "client": client}
        self.refresh[again] = {"scope": scopes, "resource": resource, "client": client}
        reply: dict[str, Any] = {"access_token": token, "token_type": "Bearer"}
        reply |= {"refresh_token": again, "scope": granted}
        return reply if self.lifetime is None else {**reply, "expires_in": self.lifetime}

    def metadata(self) -> dict[str, Any]:
        document: dict[str, Any] = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.base}/authorize",
            "token_endpoint": f"{self.base}/token",
            "revocation_endpoint": f"{self.base}/revoke",
            "jwks_uri": f"{self.base}/jwks",
            "code_challenge_methods_supported": self.challenge_methods,
            "token_endpoint_auth_methods_supported": self.auth_methods,
            "authorization_response_iss_parameter_supported": self.announce_iss,
            "client_id_metadata_document_supported": self.documents,
        }
        if self.registration:
            document["registration_endpoint"] = f"{self.base}/register"
        if self.scopes_supported is not None:
            document["scopes_supported"] = self.scopes_supported
        return {k: v for k, v in (document | self.metadata_changes).items() if v is not None}

    async def respond(self, request: Request) -> Response:
        path = request.url.path
        raw = await request.body()
        is_form = "form" in request.headers.get("content-type", "")
        form = {k: str(v) for k, v in (await request.form()).items()} if is_form else {}
        self.seen.append((path, form or dict(request.query_params)))
        if path in self.overrides:
            answer = self.overrides[path]
            return answer if isinstance(answer, Response) else await answer(request)
        self.authorization = request.headers.get("authorization", "")
        answers: dict[str, Callable[[], Response]] = {
            self.metadata_path: lambda: JSONResponse(self.metadata()),
            "/register": lambda: self._register(json.loads(raw)),
            "/authorize": lambda: self._authorize(dict(request.query_params)),
            "/token": lambda: self._token(form),
            "/revoke": lambda: self._revoke(form),
            "/jwks": lambda: JSONResponse({"keys": [k.as_dict(private=False) for k in self.keys]}),
            "/introspect": lambda: self._introspect(form),
        }
        return answers.get(path, lambda: Response(status_code=404))()

    @property
    def metadata_path(self) -> str:
        return {
            "oauth": f"/.well-known/oauth-authorization-server{self.path}",
            "oidc": f"/.well-known/openid-configuration{self.path}",
            "oidc-suffix": f"{self.path}/.well-known/openid-configuration",
        }[self.metadata_at]

    def _revoke(self, form: dict[str, str]) -> Response:
        self.access.pop(form["token"], None)
        self.refresh.pop(form["token"], None)
        return Response()

    def _register(self, wanted: dict[str, Any]) -> Response:
        name = f"client-{next(self._numbers)}"
        made = {**wanted, "client_id": name}
        if wanted["token_endpoint_auth_method"].startswith("client_secret"):
            made["client_secret"] = f"secret of {name}:%"
        self.clients[name] = made
        return JSONResponse(made, 201)

    def _authorize(self, query: dict[str, str]) -> Response:
        client = self.clients.get(query["client_id"], {})
        uris = client.get("redirect_uris", [query["redirect_uri"]])
        if query["redirect_uri"] not in uris or query["code_challenge_method"] != "S256":
            return Response("bad request", 400)
        code = f"code-{next(self._numbers)}"
        self.codes[code] = query
        back = {"code": code, "state": query["state"]}
        if self.send_iss is not None:
            back["iss"] = self.issuer if self.send_iss == "right" else self.send_iss
        return RedirectResponse(f"{query['redirect_uri']}?{urlencode(back)}", 302)

    def _client(self, form: dict[str, str]) -> str | None:
        authorization = self.authorization
        if authorization.startswith("Basic "):
            pair = base64.b64decode(authorization[6:]).decode().split(":")
            name, secret = (unquote(each) for each in pair)
        else:
            name, secret = form.get("client_id", ""), form.get("client_secret")
        known = self.clients.get(name)
        if known is None:
            return name if name.startswith("https://") else None
        method = known.get("token_endpoint_auth_method", "none")
        if method == "private_key_jwt":
            claims = jwt.decode(form["client_assertion"], known["key"], algorithms=["ES256"]).claims
            good = claims["sub"] == name and claims["aud"] == self.issuer
            return name if good else None
        if (method == "client_secret_basic") != authorization.startswith("Basic "):
            return None
        return name if secret == known.get("client_secret") else None

    def _token(self, form: dict[str, str]) -> Response:
        if self.token_status:
            return JSONResponse({"error": "server_error"}, self.token_status)
        client = self._client(form)
        if client is None:
            return JSONResponse({"error": "invalid_client"}, 401)
        grant = form["grant_type"]
        if grant == "client_credentials":
            reply = self.issue(
                scopes=form.get("scope", ""), resource=form["resource"], client=client
            )
            del reply["refresh_token"]
            return JSONResponse(reply)
        if grant == "refresh_token":
            held = self.refresh.pop(form["refresh_token"], None)
            good = held is not None and held["client"] == client
            scopes, resource = (held["scope"], held["resource"]) if held else ("", "")
        else:
            asked = self.codes.pop(form["code"], None)
            digest = hashlib.sha256(form["code_verifier"].encode()).digest()
            challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
            good = asked is not None and asked["code_challenge"] == challenge
            good = good and asked is not None and asked["redirect_uri"] == form["redirect_uri"]
            scopes = asked.get("scope", "") if asked else ""
            resource = form["resource"]
        if not good:
            return JSONResponse({"error": "invalid_grant", "error_description": "used"}, 400)
        return JSONResponse(self.issue(scopes=scopes, resource=resource, client=client))

    def _introspect(self, form: dict[str, str]) -> Response:
        if self.authorization != "Basic " + base64.b64encode(b"door:k%25y").decode():
            return Response(status_code=401)
        found = self.access.get(form["token"])
        if found is None:
            return JSONResponse({"active": False})
        about = {"scope": found["scope"], "aud": found["resource"], "client_id": found["client"]}
        return JSONResponse({"active": True, "sub": "ada", "iss": self.issuer, **about})

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncGenerator["FakeAuthority"]:
        routes = [Route("/{rest:path}", self.respond, methods=["GET", "POST"])]
        async with serve_web(Starlette(routes=routes)) as base:
            self.base = base
            yield self


@dataclass
class FakeUpstream:
    """An MCP endpoint at `/mcp` that takes the authority's tokens."""

    authority: FakeAuthority
    metadata_at: str | None = "header"
    needs: str = ""
    announces: str | None = None
    resource: str | None = None
    base: str = ""
    issuers: list[str] = field(default_factory=list[str])
    metadata_answer: Response | None = None
    scopes_supported: list[str] = field(default_factory=list[str])

    @property
    def url(self) -> str:
        return f"{self.base}/mcp"

    async def respond(self, request: Request) -> Response:
        path = request.url.path
        if path == "/mcp":
            return self._call(request.headers.get("authorization", ""))
        where = {"header": "/elsewhere", "path": f"{PRM}/mcp", "root": PRM}.get(
            self.metadata_at or ""
        )
        if path != where:
            if self.metadata_at is None:
                return await self.authority.respond(request)
            return Response(status_code=404)
        if self.metadata_answer is not None:
            return self.metadata_answer
        servers = self.issuers or [self.authority.issuer]
        document: dict[str, Any] = {"resource": self.resource or self.url}
        document |= {"authorization_servers": servers, "scopes_supported": self.scopes_supported}
        return JSONResponse(document)

    def _call(self, authorization: str) -> Response:
        held = self.authority.access.get(authorization.removeprefix("Bearer "))
        needs = set(self.needs.split())
        if held is not None and held["resource"] == (self.resource or self.url):
            if needs <= set(held["scope"].split()):
                return JSONResponse({"jsonrpc": "2.0", "id": 1, "result": {}})
            lacking = f'Bearer error="insufficient_scope", scope="{self.needs}"'
            return Response(status_code=403, headers={"WWW-Authenticate": lacking})
        fields = [f'scope="{self.announces}"'] if self.announces else []
        if self.metadata_at == "header":
            fields.append(f'resource_metadata="{self.base}/elsewhere"')
        text = f"Bearer {', '.join(fields)}" if fields else "Bearer"
        return Response(status_code=401, headers={"WWW-Authenticate": text})

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncGenerator["FakeUpstream"]:
        routes = [Route("/{rest:path}", self.respond, methods=["GET", "POST"])]
        async with serve_web(Starlette(routes=routes)) as base:
            self.base = base
            yield self
