"""Tables of runs from W&B and MLflow: states, objects in cells, and what each table looks like."""

from pathlib import Path

import pytest

import oodbench
from oodbench.errors import RequestError, UnknownNameError
from oodbench.importing import import_csv, import_mlflow, import_wandb

COLUMNS = {"id": "val", "ood": "test"}
X = {"dataset": "X"}


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_wandb_states(tmp_path: Path) -> None:
    """A run that crashed is a result; one that runs is none yet."""
    file = write(
        tmp_path / "export.csv",
        '"Name","State","Created","lr","val","test","loss"\n'
        '"a","finished","2024-01-01","0.1","0.8","0.5","0.2"\n'
        '"b","finished","2024-01-01","0.1","0.8","0.5","0.2"\n'
        '"c","crashed","2024-01-01","0.3","","",""\n'
        '"d","running","2024-01-01","0.1","0.6","0.5","0.3"\n'
        '"e","finished","2024-01-01","9","0.1","0.1","NaN"\n',
    )
    columns = {"id_val": "val", "ood": "test", "hparams.lr": "lr", "loss": "loss"}
    done = import_wandb(file, tmp_path / "w.db", columns, X)
    assert done.statuses == {"completed": 2, "failed": 1, "diverged": 1}
    assert done.skipped == ("row 5: its state is running: not ended.",)
    runs = oodbench.query(tmp_path / "w.db")
    assert runs["protocol"].unique().tolist() == ["imported:wandb"]
    told = dict(zip(runs["status"], runs["reason"], strict=True))
    assert told["failed"] == "W&B says that the run crashed."
    assert told["diverged"] == "The training loss was NaN."
    assert import_wandb(file, tmp_path / "w.db", columns, X).new == 0


def test_a_table_without_states_is_not_wandbs(tmp_path: Path) -> None:
    file = write(tmp_path / "m.csv", "val,test\n0.8,0.5\n")
    with pytest.raises(RequestError, match="no column State, so it is no table of runs from W&B"):
        import_wandb(file, tmp_path / "m.db", COLUMNS, X)


CONFIG = '"{""optimizer"": {""name"": ""%s"", ""betas"": [0.9, 0.99]}, ""lr"": %s, ""_wandb"": {}}"'


def test_objects_in_a_configuration_can_be_asked_for(tmp_path: Path) -> None:
    rows = [
        f"r0,finished,{CONFIG % ('sgd', '0.1')},0.8,0.5",
        f"r1,finished,{CONFIG % ('adam', '1e-3')},0.7,0.4",
        "r2,finished,,0.6,0.3",
    ]
    file = write(tmp_path / "w.csv", "\n".join(["ID,State,config,val,test", *rows]))
    import_wandb(file, tmp_path / "w.db", COLUMNS, X)
    runs = oodbench.query(tmp_path / "w.db").set_index("id")
    assert runs["lr"].dropna().to_dict() == {0.8: 0.1, 0.7: 1e-3}
    assert runs["optimizer.name"].dropna().to_dict() == {0.8: "sgd", 0.7: "adam"}
    assert runs["optimizer.betas"][0.8] == "[0.9, 0.99]"
    assert not [name for name in runs.columns if "_wandb" in name]
    for where in ("optimizer.name = 'adam'", "hparams.optimizer.name = 'adam' and lr < 0.01"):
        assert oodbench.query(tmp_path / "w.db", where)["id"].tolist() == [0.7]
    with pytest.raises(UnknownNameError, match=r"hyperparameter 'optimizer\.nam'"):
        oodbench.query(tmp_path / "w.db", "hparams.optimizer.nam = 'adam'")


def test_a_key_of_an_object_can_be_any_field(tmp_path: Path) -> None:
    file = write(
        tmp_path / "w.csv", f"ID,State,config,val,test\nr0,finished,{CONFIG % ('sgd', '1')},0.8,0.5"
    )
    columns = {**COLUMNS, "optimizer": "config.optimizer.name"}
    import_wandb(file, tmp_path / "w.db", columns, X)
    (run,) = oodbench.query(tmp_path / "w.db").to_dict("records")
    assert (run["optimizer"], run["lr"], "optimizer.name" in run) == ("sgd", 1, False)


def test_objects_in_any_table(tmp_path: Path) -> None:
    """Dictionaries as pandas writes them, values as W&B's files wrap them, plain cells between."""
    rows = [
        "\"{'lr': 0.1, 'loss': nan, 'nested': {'deep': True, 'none': None}}\",0.8,0.5",
        '"{""lr"": {""value"": 0.3, ""desc"": null}}",0.7,0.4',
        "plain,0.6,0.3",
        "{no object,0.5,0.2",
    ]
    file = write(tmp_path / "m.csv", "\n".join(["set,val,test", *rows]))
    import_csv(file, tmp_path / "m.db", {**COLUMNS, "hparams": "set"}, X)
    runs = oodbench.query(tmp_path / "m.db").set_index("id")
    assert runs["lr"].dropna().to_dict() == {0.8: 0.1, 0.7: 0.3}
    assert (runs["nested.deep"][0.8], runs["loss"][0.8]) == (True, "NaN")
    assert "nested.none" not in runs.columns
    import_csv(file, tmp_path / "n.db", {**COLUMNS, "hparams.set": "set"}, X)
    named = oodbench.query(tmp_path / "n.db").set_index("id")
    assert named["set.lr"].dropna().to_dict() == {0.8: 0.1, 0.7: 0.3}
    assert named["set"].dropna().to_dict() == {0.6: "plain", 0.5: "{no object"}
    with pytest.raises(RequestError, match=r"no cell of the column 'val' holds an object"):
        import_csv(file, tmp_path / "m.db", {**COLUMNS, "hparams": "val"}, X)


def test_a_run_that_crashed_is_kept_whatever_its_scores(tmp_path: Path) -> None:
    ended = {"crashed": "NaN", "Failed": "", "killed": "Infinity", "finished": "0.5"}
    rows = [f"{state},{state},{score},{score}" for state, score in ended.items()]
    file = write(tmp_path / "w.csv", "\n".join(["ID,State,val,test", *rows]))
    done = import_wandb(file, tmp_path / "w.db", COLUMNS, X)
    assert (done.statuses, done.skipped) == ({"failed": 3, "completed": 1}, ())


def test_a_column_without_a_name_is_no_trouble(tmp_path: Path) -> None:
    """pandas writes its index so."""
    file = write(tmp_path / "w.csv", ",ID,State,val,test\n0,r0,finished,0.8,0.5\n")
    assert import_wandb(file, tmp_path / "w.db", COLUMNS, X).new == 1


SEARCHED = """run_id,experiment_id,status,artifact_uri,start_time,end_time,metrics.val,\
metrics.test,metrics.loss,params.lr,params.opt,tags.mlflow.runName
aa,1,FINISHED,file:///m/1,2024-01-01 00:00:00,2024-01-01 00:01:00,0.8,0.5,0.1,0.1,sgd,x
bb,1,FINISHED,file:///m/2,2024-01-01 00:00:00,2024-01-01 00:01:00,0.7,0.4,0.1,1e-3,adam,y
cc,1,FAILED,file:///m/3,2024-01-01 00:00:00,2024-01-01 00:01:00,,,,9,adam,z
dd,1,RUNNING,file:///m/4,2024-01-01 00:00:00,,0.6,0.3,0.1,0.1,sgd,w
"""
"""What ``mlflow.search_runs(...).to_csv(index=False)`` writes."""

PAGE = """"Start Time","Duration","Run ID","Name","Source Type","Source Name","User","Status",\
"lr","opt","val","test"
"2024-01-01 00:00:00","1.0min","aa","x","LOCAL","train.py","me","FINISHED","0.1","sgd","0.8","0.5"
"2024-01-01 00:00:00","1.0min","cc","z","LOCAL","train.py","me","KILLED","'-1","adam","",""
"""
"""What the pages of MLflow give as CSV; they escape what a spreadsheet would run."""


def test_mlflows_searched_runs(tmp_path: Path) -> None:
    columns = {"id_val": "metrics.val", "ood": "metrics.test", "optimizer": "params.opt"}
    file = write(tmp_path / "runs.csv", SEARCHED)
    done = import_mlflow(file, tmp_path / "m.db", columns, X)
    assert done.statuses == {"completed": 2, "failed": 1}
    assert done.skipped == ("row 5: its state is RUNNING: not ended.",)
    runs = oodbench.query(tmp_path / "m.db").set_index("lr")
    assert runs["optimizer"].to_dict() == {0.1: "sgd", 1e-3: "adam", 9: "adam"}
    assert "opt" not in runs.columns  # it is the optimizer
    assert runs["reason"][9] == "MLflow says that the run failed."
    assert runs["protocol"].unique().tolist() == ["imported:mlflow"]
    assert import_mlflow(file, tmp_path / "m.db", columns, X).new == 0


def test_the_table_that_mlflows_pages_give(tmp_path: Path) -> None:
    columns = {"id_val": "val", "ood": "test", "optimizer": "opt", "hparams.lr": "lr"}
    done = import_mlflow(write(tmp_path / "runs.csv", PAGE), tmp_path / "m.db", columns, X)
    assert done.statuses == {"completed": 1, "failed": 1}
    assert sorted(oodbench.query(tmp_path / "m.db")["lr"]) == [-1, 0.1]


def test_a_table_without_a_status_is_not_mlflows(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"no column status or Status.* from MLflow"):
        import_mlflow(write(tmp_path / "m.csv", "val,test\n0.8,0.5\n"), tmp_path / "m.db", COLUMNS)
