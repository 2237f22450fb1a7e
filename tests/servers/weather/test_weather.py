import gzip
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client
from fastmcp.client.transports import StdioTransport
from fastmcp.exceptions import ToolError

from servers.weather.server import create_server
from servers.weather.settings import Settings
from tests.fakes.mcp_call import Caller, ask, ask_text, labels_of
from tests.fakes.open_meteo import weather
from tests.fakes.site import Asked, Reply, Site, json_reply

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.anyio


async def test_current_weather_carries_units_in_field_names(client: Caller):
    metric = await ask(client, "current_weather", place="Berlin")
    imperial = await ask(client, "current_weather", place="Berlin", units="imperial")

    assert metric["place"]["country_code"] == "DE"
    assert metric["now"]["temperature_c"] == 0.0
    assert metric["now"]["condition"] == "clear sky"
    assert "temperature_f" not in metric["now"]
    assert imperial["now"]["temperature_f"] == 0.0
    assert imperial["now"]["wind_speed_mph"] == 0.0
    assert "temperature_c" not in imperial["now"]


async def test_readable_text_says_place_numbers_and_source(client: Caller):
    text = await ask_text(client, "current_weather", place="Berlin")

    assert "Berlin, State of Berlin, Germany" in text
    assert "temperature 0.0 °C" in text
    assert "Open-Meteo.com" in text


async def test_hours_cross_the_change_of_clocks_with_their_own_offsets(client: Caller):
    found = await ask(client, "hourly_forecast", place="Berlin", hours=28)

    times = [h["time"] for h in found["hours"]]
    assert times[25] == "2026-03-29T01:00:00+01:00"
    assert times[26] == "2026-03-29T03:00:00+02:00"
    assert len(times) == 28


async def test_days_carry_local_dates_and_sun(client: Caller):
    found = await ask(client, "daily_forecast", place="Berlin", days=3)

    assert [d["date"] for d in found["days"]] == ["2026-03-28", "2026-03-29", "2026-03-30"]
    assert found["days"][0]["sunrise"] == "2026-03-28T06:00:00+01:00"
    assert found["days"][2]["temperature_max_c"] == 2.0


async def test_history_asks_the_archive_for_the_span(client: Caller, site: Site):
    found = await ask(
        client, "weather_history", place="Berlin", start="1999-12-30", end="1999-12-31"
    )

    asked = site.asked[-1]
    assert (asked.path, asked.query["start_date"], asked.query["end_date"]) == (
        "/archive",
        "1999-12-30",
        "1999-12-31",
    )
    assert len(found["days"]) == 2
    assert found["hours"] == []


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        ("2020-01-02", "2020-01-01", "ends .* before it starts"),
        ("1939-01-01", "1940-01-01", "archive begins"),
        ("2020-01-01", "2024-01-01", "more than the 366"),
    ],
)
async def test_impossible_spans_are_refused_before_asking(
    client: Caller, site: Site, start: str, end: str, said: str
):
    with pytest.raises(ToolError, match=said):
        await ask(client, "weather_history", place="Berlin", start=start, end=end)

    assert site.asked == []


async def test_air_quality_gives_indices_now_and_hours_when_asked(client: Caller):
    now = await ask(client, "air_quality", place="Berlin")
    later = await ask(client, "air_quality", place="Berlin", hours=3)

    assert now["now"]["pm2_5_ug_m3"] == 0.0
    assert now["hours"] == []
    assert [h["european_aqi"] for h in later["hours"]] == [0.0, 1.0, 2.0]


async def test_ambiguous_name_lists_its_namesakes_and_each_can_be_used(client: Caller):
    with pytest.raises(ToolError, match="means several places") as failure:
        await ask(client, "current_weather", place="Springfield")

    assert "Springfield, Hampden, Massachusetts, United States" in str(failure.value)
    assert "Queensland" not in str(failure.value)  # 28 times smaller
    for narrowed, region in [
        ("Springfield, Illinois", "Illinois"),
        ("Springfield, Hampden, Massachusetts, United States", "Massachusetts"),
        ("springfield, au", "Queensland"),
    ]:
        found = await ask(client, "current_weather", place=narrowed)
        assert found["place"]["region"] == region


async def test_clearly_largest_namesake_is_taken(client: Caller):
    found = await ask(client, "current_weather", place="Berlin")

    assert found["place"]["country"] == "Germany"


async def test_narrowing_that_fits_nothing_shows_what_there_is(client: Caller):
    with pytest.raises(ToolError, match="No place named 'Berlin, Peru' is known") as failure:
        await ask(client, "current_weather", place="Berlin, Peru")

    assert "New Hampshire, United States (44.4687, -71.1851, pop" in str(failure.value)


async def test_unknown_place_says_what_to_try(client: Caller):
    with pytest.raises(ToolError, match=r"No place named 'Xyzzy' is known. Check the spelling"):
        await ask(client, "current_weather", place="Xyzzy")


@pytest.mark.parametrize("text", ["52.52, 13.41", "52.52 13.41", "+52.52;13.41"])
async def test_coordinates_need_no_look_up(client: Caller, site: Site, text: str):
    found = await ask(client, "current_weather", place=text)

    assert site.paths() == ["/forecast"]
    assert (found["place"]["latitude"], found["place"]["longitude"]) == (52.52, 13.41)


async def test_coordinates_off_the_earth_are_refused(client: Caller):
    with pytest.raises(ToolError, match="outside latitude"):
        await ask(client, "current_weather", place="13.41, 252.52")


async def test_find_place_lists_candidates(client: Caller):
    found = await ask(client, "find_place", name="Springfield", most=2)

    assert [p["region"] for p in found["places"]] == ["Missouri", "Massachusetts"]
    assert (await ask(client, "find_place", name="Xyzzy"))["places"] == []


async def test_second_equal_question_is_answered_from_the_cache(client: Caller, site: Site):
    first = await ask(client, "current_weather", place="Berlin")
    second = await ask(client, "current_weather", place="berlin")

    assert first == second
    assert site.paths() == ["/search", "/forecast"]


async def test_us_warnings_are_official_and_hazards_are_marked_as_computed(
    client: Caller, site: Site
):
    warning = {
        "event": "Tornado Warning",
        "severity": "Extreme",
        "headline": "Tornado Warning until 5 PM",
        "description": "A tornado was seen.",
        "instruction": "Take cover.",
        "onset": "2026-03-28T16:00:00-05:00",
        "ends": None,
        "expires": "2026-03-28T17:00:00-05:00",
        "senderName": "NWS Springfield MO",
    }
    site.put(
        "/alerts", json_reply({"features": [5, {"properties": None}, {"properties": warning}]})
    )
    site.put("/forecast", lambda a: _with(a, "daily", "wind_gusts_10m_max", 80.0))

    found = await ask(client, "weather_alerts", place="Springfield, Missouri")

    assert site.asked[-1].query == {"point": "37.2153,-93.2982"}
    assert found["official"][0]["event"] == "Tornado Warning"
    assert found["official"][0]["ends"] == "2026-03-28T17:00:00-05:00"
    assert found["forecast_hazards"][0] == {
        "date": "2026-03-28",
        "hazard": "severe gale gusts",
        "value": 80.0,
        "threshold": 75.0,
        "unit": "kmh",
    }


async def test_elsewhere_the_lack_of_an_official_source_is_said(client: Caller, site: Site):
    found = await ask(client, "weather_alerts", place="Berlin")
    text = await ask_text(client, "weather_alerts", place="Berlin")

    assert found["official_source"] is None
    assert "No official warnings can be had here" in text
    assert "/alerts" not in site.paths()


async def test_coordinates_outside_the_us_service_count_as_not_covered(client: Caller, site: Site):
    site.put("/alerts", json_reply({"detail": "point is out of bounds"}, 400))

    assert (await ask(client, "weather_alerts", place="48, 11"))["official_source"] is None


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (
            json_reply({"error": True, "reason": "Minutely API request limit exceeded."}, 429),
            "limits how often.*Minutely.*Try again in a minute",
        ),
        (json_reply({}, 429, Retry_After="17"), "Try again in 17 s"),
        (
            json_reply({"error": True, "reason": "Parameter 'daily' is invalid."}, 400),
            r"HTTP 400\): Parameter 'daily'",
        ),
        (Reply(b"<h1>Bad gateway</h1>", 502), r"failed \(HTTP 502\).*Try again later"),
        (Reply(b"<html>", 200, {"Content-Type": "text/html"}), "not JSON"),
        (Reply(b'{"current": {', 200), "not JSON"),
        (Reply(b"\xff\xfe{}", 200), "not JSON"),
        (json_reply([1]), "not an object"),
        (json_reply({"timezone": "Europe/Berlin"}), "lacks what was asked for"),
        (json_reply({"timezone": 7, "utc_offset_seconds": 0}), "lacks what was asked for"),
        (Reply(b"", 302, {"Location": "http://127.0.0.2/"}), "HTTP 302"),
        (Reply(b"", 200, {"Content-Encoding": "gzip"}), "compressed"),
    ],
)
async def test_failures_of_the_service_say_what_happened_and_what_to_try(
    client: Caller, site: Site, reply: Reply, said: str
):
    site.put("/forecast", reply)

    with pytest.raises(ToolError, match=said):
        await ask(client, "current_weather", place="52, 13")


@pytest.mark.parametrize(
    ("path", "tool", "asked"),
    [
        ("/search", "find_place", {"name": "Berlin"}),
        ("/forecast", "daily_forecast", {"place": "52, 13"}),
        (
            "/archive",
            "weather_history",
            {"place": "52, 13", "start": "2020-01-01", "end": "2020-01-02"},
        ),
        ("/air", "air_quality", {"place": "52, 13"}),
        ("/alerts", "weather_alerts", {"place": "Springfield, Missouri"}),
    ],
)
@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(b"", 307, {"Location": "/inside"}), "HTTP 307"),
        (json_reply({}, 429, Retry_After="17"), "Try again in 17 s"),
        (Reply(b"", 500), r"failed \(HTTP 500\)"),
        (Reply(b"\x89PNG", 200, {"Content-Type": "image/png"}), "not JSON"),
        (Reply(gzip.compress(bytes(50_000_000)), 200, {"Content-Encoding": "gzip"}), "compressed"),
    ],
    ids=["redirect", "rate", "failure", "picture", "bomb"],
)
async def test_every_service_may_fail_in_every_way(
    client: Caller,
    site: Site,
    *,
    path: str,
    tool: str,
    asked: dict[str, str],
    reply: Reply,
    said: str,
):
    site.put(path, reply)

    with pytest.raises(ToolError, match=said):
        await ask(client, tool, **asked)
    assert "/inside" not in site.paths()


async def test_value_in_another_unit_than_its_field_name_is_refused(client: Caller, site: Site):
    site.put("/forecast", lambda a: _with(a, "current_units", "temperature_2m", "K"))

    with pytest.raises(ToolError, match="temperature_2m in 'K', not in c"):
        await ask(client, "current_weather", place="52, 13")


async def test_failed_answers_are_not_cached(client: Caller, site: Site):
    site.put("/forecast", Reply(b"", 503))
    with pytest.raises(ToolError):
        await ask(client, "current_weather", place="52, 13")

    site.put("/forecast", weather)

    assert (await ask(client, "current_weather", place="52, 13"))["now"]["temperature_c"] == 0


async def test_slow_service_is_given_up(urls: dict[str, str], site: Site):
    site.hang("/forecast")
    settings = Settings.model_validate({**urls, "timeout_seconds": 0.05})

    async with Client(create_server(settings)) as client:
        with pytest.raises(ToolError, match=r"did not answer within 0.05 s"):
            await ask(client, "current_weather", place="52, 13")


async def test_endless_answer_is_cut_off(client: Caller, site: Site):
    site.put("/forecast", lambda _: Reply(chunks=iter(lambda: b" " * 100_000, b"")))

    with pytest.raises(ToolError, match="more than 8000000 bytes"):
        await ask(client, "current_weather", place="52, 13")


async def test_unreachable_service_is_named(urls: dict[str, str]):
    settings = Settings.model_validate({**urls, "forecast_url": "http://127.0.0.1:1/forecast"})

    async with Client(create_server(settings)) as client:
        with pytest.raises(ToolError, match=r"could not be reached.*Check the network"):
            await ask(client, "current_weather", place="52, 13")


async def test_every_tool_declares_that_it_reads_and_what_leaves_this_machine(client: Caller):
    tools = await client.list_tools()

    assert await labels_of(client) == {
        "air_quality": ["egress"],
        "current_weather": ["egress"],
        "daily_forecast": ["egress"],
        "find_place": ["untrusted", "egress"],
        "hourly_forecast": ["egress"],
        "weather_alerts": ["untrusted", "egress"],
        "weather_history": ["egress"],
    }
    for tool in tools:
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint
        assert tool.annotations.open_world_hint
        assert tool.output_schema is not None


async def test_it_runs_alone_and_confined_over_stdio(urls: dict[str, str]):
    transport = StdioTransport(
        sys.executable,
        ["-m", "servers.weather", "--units", "imperial"],
        env={"HOST_SERVER_SETTINGS": json.dumps(urls), "HOST_SERVER_CONFINE": "1"},
        cwd=str(ROOT),
    )
    async with Client(transport) as client:
        found = await ask(client, "current_weather", place="Berlin")

    assert found["now"]["time"] == "2026-03-28T00:00:00+01:00"
    assert found["units"] == "imperial"


def _with(asked: Asked, block: str, name: str, value: Any) -> Reply:
    """Answer like Open-Meteo, with one number or unit replaced."""
    body = json.loads(weather(asked).body)
    column = body[block][name]
    body[block][name] = [value, *column[1:]] if isinstance(column, list) else value
    return json_reply(body)
