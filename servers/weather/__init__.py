"""Weather from Open-Meteo, without a key: places, current, forecasts, history, air, alerts."""
