"""What trying models costs at the terminal is booked, and held to budgets, like any request."""

import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from host.cli import keys, models
from host.config.runtime import config_folder
from host.domain.errors import BudgetExceededError
from tests.fakes.model_provider import ModelProvider
from tests.fakes.model_wire import Answer
from tests.models.conftest import KEY

Shown = Callable[[], Any]


@pytest.fixture
def name(tmp_path: Path, store_folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A model that costs 40 cents a reply, in a home whose runs may spend two dollars."""
    for variable in ("HOME", "XDG_CONFIG_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.setenv("HOST_DATA_DIR", str(store_folder))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    config = config_folder({"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)})
    (config / "models" / "scripts").mkdir(parents=True)
    name = f"priced-{secrets.token_hex(4)}"
    turn = "{reply: OK, usage: {input: 0, output: 4}}"
    (config / "models" / "scripts" / f"{name}.yaml").write_text(f"{{turns: [{turn}], loop: true}}")
    prices = {f"scripted:{name}": {"input": 0, "output": 100_000}}
    body = {"prices": prices, "budgets": {"run": 2.0}}
    (config / "models.yaml").write_text(json.dumps(body))
    return f"scripted:{name}"


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str]) -> Shown:
    return lambda: json.loads(capsys.readouterr().out)


def limit(folder: Path, **budgets: float) -> None:
    file = config_folder({"HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}) / "models.yaml"
    file.write_text(json.dumps({**json.loads(file.read_text()), "budgets": budgets}))


def spent_on(name: str, shown: Shown) -> tuple[int, float]:
    models.usage(days=1, as_json=True)
    [row] = [row for row in shown() if row["name"] == name] or [{"requests": 0, "cost": 0.0}]
    return row["requests"], round(row["cost"], 6)


def test_trying_a_model_is_booked_each_time_as_a_run_of_its_own(name: str, shown: Shown) -> None:
    before = spent_on(name, shown)
    costs: list[float] = []
    for _ in range(6):  # 2.40 in all, of runs that may spend 2.00
        models.probe(name, as_json=True)
        costs.append(shown()["cost"])
    assert (before, costs) == ((0, 0.0), [0.4] * 6)
    assert spent_on(name, shown) == (6, 2.4)
    models.usage(days=1, as_json=True)
    kinds = {(row["kind"], row["name"]) for row in shown()}
    assert kinds >= {("day", ""), ("user", "local"), ("model", name)}


def test_measuring_compliance_is_one_run_that_its_budget_ends(
    name: str, shown: Shown, tmp_path: Path
) -> None:
    limit(tmp_path, run=101.0)  # a reply may cost 100 dollars, as nobody says how long it may be
    with pytest.raises(BudgetExceededError, match="budget of the run 'apart-"):
        models.compliance(name, repeats=1, as_json=True)
    assert spent_on(name, shown) == (3, 1.2)


def test_request_that_the_days_budget_has_no_room_for_is_not_made(
    name: str, shown: Shown, tmp_path: Path
) -> None:
    limit(tmp_path, day=0.0)
    with pytest.raises(BudgetExceededError, match="budget of the day is used up"):
        models.probe(name, as_json=True)
    assert spent_on(name, shown) == (0, 0.0)


def test_trying_a_key_is_booked_too(
    name: str, shown: Shown, tmp_path: Path, vendor: ModelProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = f"openai:{name.rpartition(':')[2]}"
    config = config_folder({"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)})
    prices = {model: {"input": 0, "output": 100_000}}
    providers = {"openai": {"base_url": f"{vendor.url}/v1"}}
    (config / "models.yaml").write_text(json.dumps({"prices": prices, "providers": providers}))
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    vendor.will(Answer(tokens=(1, 4)))
    keys.probe_key("openai", model=model, as_json=True)
    assert shown()["cost"] == 0.4
    assert spent_on(model, shown) == (1, 0.4)
