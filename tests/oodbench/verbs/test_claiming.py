"""Claims that are shipped, and one's own, judged by databases from the command line."""

import json
from pathlib import Path

import pytest

import oodbench
from oodbench.cli import main
from oodbench.errors import RequestError, UnknownNameError
from oodbench.siblings import sibling
from oodbench.sweep.estimate import estimate
from oodbench.sweep.files import load_sweeps
from oodbench.verbs.claim import claim_names, load_claim


@pytest.fixture(scope="module")
def pacs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    db = tmp_path_factory.mktemp("claims") / "pacs.db"
    oodbench.example("pacs", db)
    return db


@pytest.mark.parametrize("name", claim_names())
def test_claims_that_are_shipped_say_what_decides_them(name: str) -> None:
    claim = load_claim(name)
    specs = load_sweeps(sibling("sweeps") / claim.sweep)
    models = sum(row.models for spec in specs for row in estimate(spec))
    assert claim.cost.startswith(f"{models:,} models")
    if not claim.by_kind:
        known = {entry.name for spec in specs for entry in spec.optimizers}
        assert {claim.a, claim.b} <= known


def test_a_claim_is_judged_as_conclude_judges_it(pacs: Path) -> None:
    """On one dataset both compare the kinds on average over its test environments."""
    judged = oodbench.claim("naganuma2023-i-ood", pacs)
    claims = oodbench.conclude(pacs).claims
    mine = claims[
        (claims["claim"] == judged.claim.claim)
        & (claims["test_environments"] == "average")
        & (claims["about"] == "these optimizers")
    ]
    numbers = [text.split(" points ")[0].split(" ")[-1] for text in judged.reasons]
    assert len(mine) == len(numbers) == 2
    for sentence, number in zip(mine["sentence"], numbers, strict=True):
        assert number.lstrip("+\N{MINUS SIGN}") in sentence


def test_a_database_counts_once_however_often_it_is_named(pacs: Path) -> None:
    once = oodbench.claim("naganuma2023-i-ood", pacs)
    assert oodbench.claim("naganuma2023-i-ood", [pacs, pacs]) == once


def test_the_command_exits_by_the_verdict(
    pacs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    badge = tmp_path / "badge.svg"
    for name, options, code in (
        ("kumar2022-sgd-frozen-embedding", ["--badge", str(badge)], 3),
        ("naganuma2023-i-ood", ["--format", "json"], None),
        ("naganuma2023", [], 2),
    ):
        words = ["oodbench", "claim", name, "--db", str(pacs), *options]
        monkeypatch.setattr("sys.argv", words)
        with pytest.raises(SystemExit) as ended:
            main()
        out = capsys.readouterr().out
        if code is None:
            said = json.loads(out)["verdict"].partition(",")[0]
            code = {"holds": 0, "does not hold": 1}.get(said, 3)
        assert ended.value.code == code
    assert "undecided" in badge.read_text()


def test_files_that_are_none_are_refused(tmp_path: Path, pacs: Path) -> None:
    with pytest.raises(UnknownNameError, match="naganuma2023-i-ood"):
        oodbench.claim("naganuma2023-i-ooo", pacs)
    with pytest.raises(RequestError, match="Cannot read"):
        oodbench.claim(tmp_path / "none.yaml", pacs)
    file = tmp_path / "a.yaml"
    file.write_text("claim: [")
    with pytest.raises(RequestError, match="not YAML"):
        oodbench.claim(file, pacs)
    with pytest.raises(RequestError, match="at least one database"):
        oodbench.claim("naganuma2023-i-ood", [])


def test_a_condition_on_what_no_run_has_is_reported(pacs: Path) -> None:
    judged = oodbench.claim("kumar2022-sgd-frozen-embedding", pacs)
    assert (judged.verdict, judged.runs) == ("undecided", 0)
    assert judged.missing[0].startswith("where: freeze = 'embedding': unknown column 'freeze'")
