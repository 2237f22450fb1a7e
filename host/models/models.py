"""All models: resolves a name of `models.yaml`, a route or a model id into something to ask."""

import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import httpx2
from pydantic_ai.models import Model

from host.config.files import Stamp, is_unchanged, stamp_file
from host.config.paths import Paths
from host.domain.errors import ConfigError, NotFoundError
from host.domain.names import nearest_names
from host.models.budget import Allowance, Budget, MemoryLedger, Scope
from host.models.card import ModelCard
from host.models.client import ClientModel, Sampler
from host.models.config import (
    LimitConfig,
    ModelConfig,
    ModelsConfig,
    RequirementConfig,
    model_of,
    route_of,
)
from host.models.config_file import load_models_config
from host.models.desk import Desk, price_table, stored_desk
from host.models.endpoint import Endpoint, Headers, Health
from host.models.name import DEFAULT_MODEL, ModelName, parse_model_name
from host.models.ollama import first_ollama_model
from host.models.parameters import Parameters
from host.models.provider import Provider, providers, require_key
from host.models.ready import ReadyModel, make_ready
from host.models.route import RoutedModel
from host.models.script import Script, find_script, read_script, script_names
from host.models.scripted import ScriptedModel
from host.models.settings import build_settings
from host.models.thinking import fit_thinking
from host.secrets.keys import Keys
from host.storage.store import Store

__all__ = ["Models", "Sampler", "Scope"]


_AS_THEY_ARE = Parameters()
"""No parameters besides those of `models.yaml`."""


class KeySource(Protocol):
    """Finds API keys; `host.secrets.keys.Keys` does."""

    def find(self, name: str, variables: tuple[str, ...]) -> str | None:
        """Return a key, None if there is none."""
        ...


@dataclass(frozen=True, slots=True)
class _Read:
    """A script, and the file that it was read from as it was then."""

    file: Path
    stamp: Stamp | None
    script: Script


class Models:
    """The models of one user.

    Args:
        config: What `models.yaml` says.
        keys: Where API keys are found.
        folders: Folders of scripts for `scripted:`.
        desk: Buckets, budget, prices and clock; None: in-process ones.
        on_key: Is told of each key before it is used, so that it can be kept out of records.
    """

    def __init__(
        self,
        config: ModelsConfig,
        *,
        keys: KeySource,
        folders: tuple[Path, ...] = (),
        desk: Desk | None = None,
        on_key: Callable[[str], None] = lambda key: None,
    ) -> None:
        self.config = config
        self._on_key = on_key
        self._keys = keys
        self._folders = folders
        self._providers = providers(config.providers)
        budget = Budget(config.budgets, MemoryLedger())
        self.desk = desk or Desk(budget=budget, prices=price_table(config))
        self._made: dict[ModelName, ReadyModel] = {}
        self._retired: list[httpx2.AsyncClient] = []
        self._scripts: dict[str, _Read] = {}
        self._health: dict[ModelName, Health] = {}

    @classmethod
    def load(
        cls,
        paths: Paths,
        environ: Mapping[str, str],
        *,
        store: Store | None = None,
        on_key: Callable[[str], None] = lambda key: None,
    ) -> "Models":
        """Read the user's `models.yaml`, or the shipped one.

        Args:
            paths: The user's folders.
            environ: Environment variables, which may hold keys.
            store: Where rate buckets and expenses are; None: in this process, for its life.
            on_key: Is told of each key before it is used.

        Raises:
            ConfigError: It says something that is not allowed.
        """
        keys = Keys.of_user(paths, environ)
        folders = (paths.config / "models" / "scripts",)
        config = load_models_config(paths.config)
        desk = stored_desk(config, store) if store is not None else None
        return cls(config, keys=keys, folders=folders, desk=desk, on_key=on_key)

    def renew(self, config: ModelsConfig) -> None:
        """Go by another `models.yaml` from now on; what was spent and how models do stays known.

        Models that were resolved before keep their settings; budgets hold for them at once.
        """
        self.config = config
        self._providers = providers(config.providers)
        self.desk.budget.limit(config.budgets)
        self.desk = replace(self.desk, prices=price_table(config))

    def resolve(
        self,
        name: str,
        *,
        scope: Scope | None = None,
        parameters: Parameters | None = None,
        sampler: Sampler | None = None,
        allowance: Allowance | None = None,
    ) -> RoutedModel:
        """Return a model to ask; cheap, and to be done once a run.

        Args:
            name: A name or route of `models.yaml`, or a model id.
            scope: On whose account it is asked; one without a run is a run of its own.
            parameters: They stand before those of `models.yaml`.
            sampler: For `client`: how the connected client is asked.
            allowance: What the run may spend, besides the budgets.

        Raises:
            ConfigError: The name is none, or no model of it has the key it needs.
            NotFoundError: There is no such provider or script.
        """
        route = self.config.routes.get(name) or route_of(name)
        wanted = parameters or _AS_THEY_ARE
        endpoints: list[Endpoint] = []
        missing: list[ConfigError] = []
        for entry in route.models:
            try:
                endpoints.append(self._endpoint(entry, wanted, sampler))
            except ConfigError as error:
                missing.append(error)
        if not endpoints:
            raise missing[0]
        fit = [one for one in endpoints if self._fits(one.name, route.needs, one.inner.profile)]
        if not fit:
            raise ConfigError(
                f"No model of the route {name!r} has what the route needs.",
                field=f"routes.{name}.needs",
                next_step="Add a model, or ask for less.",
            )
        account = scope or Scope()
        if not account.run:
            account = replace(account, run=f"apart-{secrets.token_hex(6)}")
        return RoutedModel(
            name, fit, config=route, desk=self.desk, scope=account, allowance=allowance
        )

    def describe(self) -> list[ModelCard]:
        """Return what there is: names, routes, scripts, and each provider's cheap model."""
        cards = [self._card(name, (entry.model,)) for name, entry in self.config.models.items()]
        routes = self.config.routes.items()
        cards += [self._card(name, route.models, needs=route.needs) for name, route in routes]
        cards += [self._card(f"scripted:{name}", ()) for name in script_names(self._folders)]
        for provider in self._providers.values():
            if provider.probe:
                cards.append(self._card(f"{provider.name}:{provider.probe}", ()))
        return cards

    def check_name(self, name: str) -> None:
        """Return if a name leads to models, whether or not there are keys for them.

        Raises:
            ConfigError: It does not, or leads to a script that is wrong.
            NotFoundError: There is no such provider or script.
        """
        route = self.config.routes.get(name)
        for entry in (name,) if route is None else route.models:
            if entry in self.config.models or ":" in entry or entry == "client":
                model = parse_model_name(self._id_of(entry), self._known)
                if model.provider == "scripted":
                    self._script(model.name)
            elif entry != DEFAULT_MODEL:
                known = (card.name for card in self.describe())
                near = nearest_names(entry, (*known, DEFAULT_MODEL, "client"))
                hint = f"Did you mean {', '.join(near)}? " if near else ""
                raise ConfigError(
                    f"There is no model named {entry!r}.",
                    next_step=f"{hint}`host models list` shows the names; any provider:name works.",
                )

    def provider(self, name: str) -> Provider:
        """Return a provider.

        Raises:
            NotFoundError: There is none of this name.
        """
        if name not in self._providers:
            raise NotFoundError("model provider", name, self._providers)
        return self._providers[name]

    async def default(self) -> str:
        """Return the model of whoever names none: the configured one, else one that can be asked.

        Raises:
            ConfigError: There is none; the message says how to get one.
        """
        if self.config.default:
            return self.config.default
        named = (*self.config.routes, *self.config.models)
        if named:
            return next(iter(named))
        for provider in self._providers.values():
            if provider.probe and self._key_state(provider.name) == "present":
                return f"{provider.name}:{provider.probe}"
        local = await first_ollama_model(self._providers["ollama"].base_url or "")
        if local is not None:
            return f"ollama:{local}"
        raise ConfigError(
            "There is no model to ask: no key is set, and Ollama does not answer.",
            next_step="Run `host keys set anthropic` (or openai, google, …) or `ollama pull "
            "qwen3`, or take the tour with `--model scripted:demo`.",
        )

    async def aclose(self) -> None:
        """Close all connections."""
        clients = [*self._retired, *(made.client for made in self._made.values())]
        self._made.clear()
        self._retired.clear()
        for client in clients:
            await client.aclose()

    def _endpoint(self, entry: str, wanted: Parameters, sampler: Sampler | None) -> Endpoint:
        config = self.config.models.get(entry) or model_of(entry)
        name = parse_model_name(config.model, self._known)
        merged = config.parameters
        if wanted is not _AS_THEY_ARE:
            merged = merged.model_copy(update=wanted.model_dump(exclude_none=True))
        dialect, bucket, headers, secret = name.provider, str(name), Headers(), ""
        if name.provider == "scripted":
            inner: Model[Any] = ScriptedModel(name.name, self._script(name.name))
        elif name.provider == "client":
            inner = ClientModel(sampler)
        else:
            provider = self._providers[name.provider]
            made = self._ready(provider, name)
            inner, headers, dialect = made.model, made.headers, provider.dialect
            bucket, secret = f"{name}#{made.bucket}", made.secret
        if dialect == "ollama" and config.context:  # else it cuts off what is longer than its own
            merged = merged.with_option("num_ctx", config.context)
        settings = build_settings(merged, provider=name.provider, dialect=dialect)
        return Endpoint(
            name,
            inner,
            fit_thinking(settings, inner.profile) if dialect == "anthropic" else settings,
            limits=config.limits or self._limits(name.provider),
            bucket=bucket,
            headers=headers,
            health=self._health.setdefault(name, Health()),
            # Whoever speaks OpenAI's format may ignore its field for schemas, in silence.
            schema_output=config.schema_output or ("tool" if dialect == "compatible" else None),
            dialect=dialect,
            vision=config.vision,
            secret=secret,
            key=provider.key if (provider := self._providers.get(name.provider)) else "",
        )

    def _script(self, name: str) -> Script:
        """Return a script as its file says it now."""
        read = self._scripts.get(name)
        if read is None or read.stamp is None or not is_unchanged(read.file, read.stamp):
            file = find_script(name, self._folders)
            stamp = stamp_file(file)
            read = self._scripts[name] = _Read(file, stamp, read_script(file))
        return read.script

    def _ready(self, provider: Provider, name: ModelName) -> ReadyModel:
        """Return a model with the key that is in force now.

        One with an earlier key goes on serving whoever has it, and is closed at the end.
        """
        secret = self._keys.find(provider.key, provider.variables)
        require_key(provider, name, secret)
        made = self._made.get(name)
        if made is not None and (made.provider, made.secret) == (provider, secret or ""):
            return made
        if secret:
            self._on_key(secret)
        fresh = make_ready(provider, name, secret)
        if made is not None:
            self._retired.append(made.client)
            self._health.pop(name, None)
        self._made[name] = fresh
        return fresh

    def _limits(self, provider: str) -> LimitConfig:
        config = self.config.providers.get(provider)
        return config.limits if config else LimitConfig()

    def _fits(self, name: ModelName, needs: RequirementConfig, profile: Mapping[str, Any]) -> bool:
        config, facts = self._config_of(name), self.desk.prices.facts(name)
        context = config.context or facts.context or 0
        sees = profile.get("supports_image_input", True) if config.vision is None else config.vision
        calls = profile.get("supports_tools", True) if config.tools is None else config.tools
        cheap = needs.max_price is None or (
            facts.input is not None and facts.input <= needs.max_price
        )
        return (
            (sees or not needs.vision)
            and (calls or not needs.tools)
            and context >= needs.context
            and cheap
        )

    def _has(self, entry: str, needs: RequirementConfig) -> bool:
        """Whether a model has what is needed; what only one with a key tells is believed."""
        profile: Mapping[str, Any] = {}
        try:
            name = parse_model_name(self._id_of(entry), self._known)
        except (ConfigError, NotFoundError):
            return False
        if needs.vision or needs.tools:
            with suppress(ConfigError, NotFoundError):
                profile = self._endpoint(entry, Parameters(), None).inner.profile
        return self._fits(name, needs, profile)

    @property
    def _known(self) -> tuple[str, ...]:
        """The providers there are, those among them that are none of a vendor."""
        return (*self._providers, "client", "scripted")

    def _id_of(self, entry: str) -> str:
        """Return the model id that an entry of a route, or a name, stands for."""
        config = self.config.models.get(entry)
        return entry if config is None else config.model

    def _config_of(self, name: ModelName) -> ModelConfig:
        found = (entry for entry in self.config.models.values() if entry.model == str(name))
        return next(found, None) or model_of(str(name))

    def _card(
        self, name: str, models: tuple[str, ...], *, needs: RequirementConfig | None = None
    ) -> ModelCard:
        entries = models or (name,)
        fit = [one for one in entries if needs is None or self._has(one, needs)]
        first = parse_model_name(self._id_of((fit or entries)[0]), self._known)
        config, facts = self._config_of(first), self.desk.prices.facts(first)
        return ModelCard(
            name=name,
            provider=first.provider if needs is None else "route",
            models=tuple(map(self._id_of, models)),
            key=self._key_state(first.provider),
            input=facts.input if fit else None,
            output=facts.output if fit else None,
            context=(config.context or facts.context) if fit else None,
            vision=config.vision if fit else None,
            problem="" if fit else "none of its models has what it needs",
        )

    def _key_state(self, name: str) -> str:
        provider = self._providers.get(name)
        if provider is None:
            return "not needed"
        if self._keys.find(provider.key, provider.variables) is not None:
            return "present"
        return "absent" if provider.key_required else "not needed"
