"""Help: every command explains itself with an example, without loading torch."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import typer

from oodbench.cli import app

COMMANDS = [
    ["quickstart"],
    ["sweep"],
    ["worker"],
    ["status"],
    ["dashboard"],
    ["query"],
    ["plot"],
    ["conclude"],
    ["claim"],
    ["compare"],
    ["leaderboard", "make"],
    ["leaderboard", "check"],
    ["audit"],
    ["report"],
    ["show"],
    ["evaluate"],
    ["example"],
    ["reproduce"],
    ["score"],
    ["datasets"],
    ["algorithms"],
    ["optimizers"],
    ["models"],
    ["shift"],
    ["probe", "rsi-eb"],
    ["probe", "sharpness"],
    ["fetch"],
    ["export", "csv"],
    ["export", "json"],
    ["export", "optuna"],
    ["export", "parquet"],
    ["export", "predictions"],
    ["export", "runs"],
    ["import", "domainbed"],
    ["import", "csv"],
    ["import", "wandb"],
    ["import", "mlflow"],
    ["import", "timm"],
    ["import", "open-clip"],
    ["retry"],
    ["cancel"],
    ["db", "check"],
    ["db", "compact"],
    ["db", "copy"],
    ["db", "merge"],
    ["db", "upgrade"],
    ["cache", "list"],
    ["cache", "build"],
    ["cache", "drop"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_an_example_of_itself(
    oodbench: Callable[..., Any], command: list[str]
) -> None:
    ended = oodbench(*command, "--help")
    assert ended.code == 0
    assert f"Example: oodbench {' '.join(command)}" in ended.out


def test_the_table_above_lists_every_command(oodbench: Callable[..., Any]) -> None:
    listed = oodbench("--help").out.split("Commands:")[1].splitlines()
    assert {line.split()[0] for line in listed if line.strip()} == {c[0] for c in COMMANDS}


@pytest.mark.parametrize(
    "group", [[], ["db"], ["cache"], ["probe"], ["import"], ["export"], ["plot"]]
)
def test_no_summary_is_cut_and_a_group_has_an_example(
    oodbench: Callable[..., Any], group: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    about, listed = oodbench(*group, "--help").out.split("Commands:")
    assert [line for line in listed.splitlines() if line.endswith("...")] == []
    assert f"Example: oodbench {' '.join(group)}" in about or "Start with: oodbench" in about


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_arguments_are_written_in_capitals(command: list[str]) -> None:
    found: Any = typer.main.get_command(app)
    for word in command:
        found = found.get_command(None, word)
    arguments = [param for param in found.params if param.param_type_name == "argument"]
    assert all((argument.metavar or "").isupper() for argument in arguments)


def test_importing_and_help_load_neither_torch_nor_pandas() -> None:
    """They answer at once."""
    code = (
        "import sys, oodbench, oodbench.cli\n"
        "from oodbench.records import Trial\n"
        "sys.argv = ['oodbench', 'sweep', '--help']\n"
        "try: oodbench.cli.main()\n"
        "except SystemExit: pass\n"
        "slow = {'torch', 'pandas', 'optuna', 'sqlalchemy', 'matplotlib', 'sklearn'}\n"
        "print(sorted(slow & set(sys.modules)), file=sys.stderr)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.stderr.strip() == "[]"


def test_asking_a_database_loads_no_torch() -> None:
    code = "import sys, oodbench; oodbench.query, oodbench.status; print('torch' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (ended.stdout.strip(), ended.stderr) == ("False", "")
