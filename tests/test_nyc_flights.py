"""The script that makes tables of flights, on flights written here."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

FILE = Path(__file__).parents[1] / "docs/examples/nyc_flights.py"
HOUR = "2013-12-02T10:00:00Z"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec: Any = importlib.util.spec_from_file_location("nyc_flights", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def flights(*rows: dict[str, object]) -> pd.DataFrame:
    usual = {"year": 2013, "month": 12, "day": 2, "hour": 5, "minute": 30, "arr_delay": 0.0}
    usual |= {"origin": "JFK", "carrier": "UA", "distance": 700, "tailnum": "N1", "time_hour": HOUR}
    return pd.DataFrame([{**usual, **row} for row in rows])


@pytest.fixture
def weather(script: ModuleType) -> pd.DataFrame:
    row = {"origin": "JFK", "time_hour": HOUR, **dict.fromkeys(script.WEATHER, 1.0)}
    windy = {**row, "origin": "EWR", "wind_speed": 1048.36}
    return pd.DataFrame([row, row, windy])  # one hour twice: a flight must not become two


PLANES = pd.DataFrame({"tailnum": ["N1"], "year": [1998], "seats": [149], "model": ["A320"]})


def test_a_flight_is_late_from_the_first_minute(script: ModuleType, weather: pd.DataFrame) -> None:
    delays = ({"arr_delay": delay} for delay in (-3.0, 0.0, 1.0, None, 90.0))
    found = script.table(flights(*delays), weather, PLANES)
    assert found["label"].tolist() == ["in time", "in time", "late", "late"]


def test_a_flight_has_its_season_weather_and_plane(
    script: ModuleType, weather: pd.DataFrame
) -> None:
    months = ({"month": month} for month in range(1, 13))
    found = script.table(flights(*months), weather, PLANES)
    assert found["season"].tolist() == [
        *("winter", "winter", "spring", "spring", "spring", "summer"),
        *("summer", "summer", "autumn", "autumn", "autumn", "winter"),
    ]
    last = found.iloc[-1]
    assert (last["time"], last["weekday"], last["built"], last["seats"]) == (5.5, "Mon", 1998, 149)
    assert last["temp"] == 1.0


def test_what_is_not_known_is_missing(script: ModuleType, weather: pd.DataFrame) -> None:
    rows = ({"origin": "EWR"}, {"origin": "LGA", "tailnum": None})
    windy, unknown = script.table(flights(*rows), weather, PLANES).to_dict("records")
    assert (windy["temp"], windy["seats"]) == (1.0, 149)
    assert pd.isna(windy["wind_speed"])
    assert all(pd.isna(unknown[name]) for name in ("temp", "wind_speed", "built", "seats"))


def test_nothing_that_is_known_only_later_is_in_the_table(
    script: ModuleType, weather: pd.DataFrame
) -> None:
    later = {"dep_delay": 4.0, "arr_time": 900.0, "air_time": 100.0, "dep_time": 534.0}
    found = script.table(flights(later), weather, PLANES)
    assert not {*later, "arr_delay"} & {*found.columns}


def test_another_file_is_refused(script: ModuleType, tmp_path: Path) -> None:
    (tmp_path / script.FILE).write_bytes(b"something else")
    with pytest.raises(SystemExit, match=r"has the sha256 .+, not d9ef2f.+ Remove it"):
        script.fetched(tmp_path)
