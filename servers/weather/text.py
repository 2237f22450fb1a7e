"""Readings as lines that a person or a model reads."""

from pydantic import BaseModel

from servers.weather.report import Alerts, Answer

_SKIPPED = {"time", "date", "condition", "weather_code", "is_day"}
_SYMBOLS = {
    "_c": " °C",
    "_f": " °F",
    "_kmh": " km/h",
    "_mph": " mph",
    "_mm": " mm",
    "_cm": " cm",
    "_in": " in",
    "_percent": " %",
    "_hpa": " hPa",
    "_degrees": "°",
    "_m": " m",
    "_ft": " ft",
    "_hours": " h",
    "_seconds": " s",
    "_ug_m3": " µg/m³",
    "_grains_m3": " grains/m³",
}


def render_reading(reading: BaseModel) -> str:
    """Return `time: condition, temperature 12 °C, …`, leaving out what is not known."""
    values = reading.model_dump()
    when = values.get("date") or values.get("time")
    said = [_quantity(n, v) for n, v in values.items() if n not in _SKIPPED and v is not None]
    words = [values["condition"]] if values.get("condition") else []
    return f"{when}: " + ", ".join([*words, *said])


def render_answer(title: str, answer: Answer, readings: list[BaseModel]) -> str:
    """Return a title line with the place and zone, one line a reading, and the source."""
    where = f"{answer.place.label()} ({answer.place.latitude:.4f}, {answer.place.longitude:.4f})"
    lines = [render_reading(r) for r in readings]
    return "\n".join([f"{title}: {where}, times in {answer.time_zone}", *lines, answer.source])


def render_alerts(alerts: Alerts) -> str:
    """Return official warnings and computed hazards, each said to be what it is."""
    lines = [f"Warnings: {alerts.place.label()}, times in {alerts.time_zone}"]
    if alerts.official_source is None:
        lines.append(
            "No official warnings can be had here: Open-Meteo has none, and no keyless official "
            "source is known for this country. Ask its weather service."
        )
    elif not alerts.official:
        lines.append(f"No official warning is in force ({alerts.official_source}).")
    for warning in alerts.official:
        span = f"{warning.begins} to {warning.ends}"
        lines.append(f"OFFICIAL {warning.severity}: {warning.event}, {span}. {warning.headline}")
        lines.extend(part for part in (warning.description, warning.instruction) if part)
    if not alerts.forecast_hazards:
        lines.append("Nothing in the forecast of the next seven days passes a hazard threshold.")
    lines.extend(
        f"Computed from the forecast, not official: {h.date} {h.hazard}, {h.value:g} {h.unit}"
        for h in alerts.forecast_hazards
    )
    return "\n".join(lines)


def _quantity(name: str, value: object) -> str:
    for ending, symbol in sorted(_SYMBOLS.items(), key=lambda pair: -len(pair[0])):
        if name.endswith(ending):
            return f"{name.removesuffix(ending).replace('_', ' ')} {value}{symbol}"
    return f"{name.replace('_', ' ')} {value}"
