"""The verbs of the command line as Python functions; they return pandas DataFrames."""

import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oodbench.errors import RequestError, UnknownNameError
from oodbench.results import (
    AddedSweep,
    Database,
    RunDetails,
    Shard,
    add_shard,
    add_sweep,
    check_divisible,
    counts,
    is_empty,
    open_database,
    preview_sweep,
    run_details,
    sweep_specs,
)
from oodbench.sweep.plan import Sweep, as_spec, plan
from oodbench.workers.artifacts import artifacts_folder
from oodbench.workers.executors.clusters import (
    EXECUTORS,
    cancel_cluster_jobs,
    check_executor,
    cluster_jobs,
    launch,
)
from oodbench.workers.executors.local import (
    Counts,
    cores,
    log_folder,
    make_slots,
    run_local,
    seconds_by_phase,
)
from oodbench.workers.hooks import absolute, load_hook
from oodbench.workers.proposing import extend

if TYPE_CHECKING:
    import pandas as pd

    from oodbench.analysis import Conclusions
    from oodbench.verbs.reproduce import Reproduced

RECIPE = "digits.yaml"


def preview(sweep: Sweep, db: str | Path | None) -> AddedSweep:
    """What ``run_sweep`` would add, and what is stored already; writes nothing.

    Args:
        sweep: A sweep file.
        db: URL or path of the database; it need not hold anything, a file need not exist.
    """
    planned = plan(sweep)
    if db is None or is_empty(db):
        return preview_sweep(None, planned.studies)
    with open_database(db, read_only=True) as database:
        return preview_sweep(database, planned.studies)


def run_sweep(
    sweep: Sweep,
    db: str | Path,
    *,
    executor: str = "local",
    workers: int | None = None,
    gpus: Sequence[str] = (),
    slots_per_gpu: int = 1,
    device: str = "auto",
    stack: int | None = None,
    stack_memory: float | None = None,
    logs: str | Path | None = None,
    artifacts: str | Path | None = None,
    save_every: float = 300.0,
    processes: bool = False,
    compiled: bool = False,
    on_run_end: str | None = None,
    on_progress: Callable[[Counts], None] = lambda counts: None,
    on_profile: Callable[[dict[str, float]], None] | None = None,
) -> "pd.DataFrame":
    """Train every trial of a sweep that the database does not hold yet.

    Called again after an interruption, it goes on from there.

    Args:
        sweep: A sweep file's path, what it says as a dictionary, or a checked sweep.
        db: URL of the database, or path of a SQLite file; created if missing.
        executor: ``local``: processes of this machine; ``slurm``: jobs are submitted, and this
            returns at once; ``ray``: actors, until the sweep is done. See docs/scaling.md.
        workers: Processes; one for each CPU core by default, on other machines as many as the sweep
            file says (``slurm: {workers: 16}``).
        gpus: Instead of ``workers``: GPUs as ``CUDA_VISIBLE_DEVICES`` names them (``["0", "1"]``),
            ``slots_per_gpu`` processes on each, which see that one alone.
        slots_per_gpu: See ``gpus``.
        device: ``auto`` (a GPU if there is one), ``cpu``, ``cuda``, ...
        stack: Most models trained together by one worker; by default what a short measurement, made
            once for each kind of model on this machine, finds fastest.
        stack_memory: GiB that such a stack may need.
        logs: Folder of the workers' logs; by default beside a SQLite file, else ``oodbench-logs``.
        artifacts: Folder of checkpoints and weights; by default beside a SQLite file
            (``digits.artifacts``), else ``oodbench-artifacts``.
        save_every: Seconds from one checkpoint of a run that is trained alone to the next.
        processes: Give each replica of a trial a process of its own; else they are simulated. See
            docs/parallel.md.
        compiled: Compile the training step, with CUDA graphs on a GPU: see docs/performance.md.
        on_run_end: A function to call after each run is stored, in the worker that trained it:
            ``module:function`` or ``file.py:function``; see ``oodbench.workers.hooks``.
        on_progress: Called a few times a second with the number of runs in each state.
        on_profile: If given, called at the end with the seconds that the workers spent in each
            phase; ``all`` is all their time.

    Returns:
        A row per study: its runs by status. See ``status``.

    Raises:
        SweepError: If the sweep file says something that does not hold.
        DatabaseError: If the database cannot be used.
        RequestError: If every worker ended before the sweep did.
    """
    for name, number in (("workers", workers), ("slots_per_gpu", slots_per_gpu), ("stack", stack)):
        if number is not None and number < 1:
            raise RequestError(f"{name} must be at least 1, but got {number}.")
    if gpus and workers is not None:
        raise RequestError("workers and gpus exclude each other: give slots_per_gpu with gpus.")
    if not save_every >= 0:
        raise RequestError(f"save_every must be at least 0 seconds, but got {save_every}.")
    given: dict[str, object] = {
        "device": "cuda" if gpus else device,
        "stack": stack,
        "stack-memory": stack_memory,
        "save-every": save_every,
        "artifacts": artifacts and Path(artifacts).absolute(),
    }
    target = str(Path(db).absolute()) if "://" not in str(db) else str(db)
    check_executor(executor, target, gpus)
    if on_profile and executor != "local":
        raise RequestError(f"Only the executor local can tell where the time went, not {executor}.")
    if executor != "local":  # jobs start in the same folder, but that may not be theirs for ever
        given["artifacts"] = Path(artifacts or artifacts_folder(target)).absolute()
    if on_run_end is not None:
        load_hook(on_run_end)  # a wrong name is told before anything is trained
        given["on-run-end"] = absolute(on_run_end)
    options = [f"--{name}={value}" for name, value in given.items() if value is not None]
    options += ["--profile"] * bool(on_profile) + ["--processes"] * processes
    options += ["--compile"] * compiled
    planned = plan(sweep)
    folder = Path(logs) if logs is not None else log_folder(target)
    with open_database(target, create=True) as database:
        name = planned.spec.name
        spec = planned.spec.model_dump(mode="json", exclude_none=True)
        for place in (executor, *_places(database, name)):
            if place != "local":
                spec.setdefault(place, {})  # so that one knows where its jobs may be
        add_sweep(database, name, spec, planned.studies)
        extend(database, f"planner:{uuid.uuid4().hex}", name, stack or 32)
        if executor == "local":
            slots = make_slots(folder, slots_per_gpu if gpus else workers or cores(), gpus)
            run_local(database, target, name, slots=slots, options=options, on_progress=on_progress)
            if on_profile:
                on_profile(seconds_by_phase(slots))
        else:
            where: dict[str, Any] = {"workers": workers, "options": options, "logs": folder}
            launch(database, target, planned.spec, executor, **where, on_progress=on_progress)
        return counts(database, name)


def _places(db: Database, sweep: str) -> list[str]:
    """The executors that a stored sweep was ever for."""
    known = {item["name"]: item["spec"] for item in sweep_specs(db)}
    return [place for place in EXECUTORS if place in known.get(sweep, {})]


def prepare_shard(sweep: Sweep, db: str | Path, shard: str) -> str:
    """Put one part of a sweep into a database of its own, for a worker that shares none.

    Args:
        sweep: A sweep file's path, what it says as a dictionary, or a checked sweep.
        db: URL or path of this shard's database; created if missing.
        shard: Which part, such as ``3/16``: 0/16 is the first.

    Returns:
        The name of the sweep.

    Raises:
        RequestError: If the sweep is not drawn whole before anything is trained.
        DatabaseError: If the database has trials of another shard.
    """
    part, planned = Shard.parse(shard), plan(sweep)
    check_divisible(planned.studies)  # before there is a file
    spec = planned.spec.model_dump(mode="json", exclude_none=True)
    with open_database(db, create=True) as database:
        add_shard(database, planned.spec.name, spec, planned.studies, part)
    return planned.spec.name


TEST_SCORES = r"\b(ood|ood_test|oracle_val)\b"
"""Columns that only the rule ``oracle`` may look at."""


def notes(db: str | Path, sweep: str) -> list[str]:
    """What to know of a sweep before believing it: see ``oodbench.verbs.digest.edge_warnings``."""
    from oodbench.verbs.digest import edge_warnings

    with open_database(db, read_only=True) as database:
        return edge_warnings(database, sweep)


def retry(db: str | Path, sweep: str, *, failed: bool = True, diverged: bool = False) -> int:
    """Put the failed runs of a sweep back in line, or the diverged ones, or both; how many."""
    from oodbench.results import retry as put_back

    wanted = {"failed": failed, "diverged": diverged}
    with open_database(db) as database:
        return put_back(database, sweep, [status for status, asked in wanted.items() if asked])


def jobs(db: str | Path, sweep: str | None = None) -> "pd.DataFrame":
    """This user's SLURM jobs of a sweep, or of all: see ``cluster_jobs``."""
    return cluster_jobs(str(db), sweep)


def cancel_jobs(db: str | Path, sweep: str) -> int:
    """Cancel the SLURM jobs of a sweep; how many. Its workers give back what they train."""
    return cancel_cluster_jobs(str(db), sweep)


def cancel(db: str | Path, sweep: str) -> int:
    """Take the waiting runs of a sweep out of it; how many.

    Its SLURM jobs are cancelled first: see ``cancel_jobs``.

    Raises:
        UnknownNameError: If there is no such sweep.
        RequestError: If it may have SLURM jobs, and SLURM does not answer.
    """
    from oodbench.results import cancel as take_out

    cancel_jobs(db, sweep)
    with open_database(db) as database:
        return take_out(database, sweep)


def fetch(name: str, root: str | Path, tell: Callable[[str], None] = print) -> Path:
    """Download what a dataset needs into the data folder ``root``; returns the folder of its files.

    Args:
        name: Of the dataset, or of its source, such as ``MNIST``.
        root: The data folder; created if missing.
        tell: Called with what is being done.
    """
    from oodbench.data import source_named

    source = source_named(name)
    if source.fetch is None:
        raise RequestError(f"{name} cannot be fetched: {source.get}")
    source.fetch(Path(root), tell)
    return Path(root) / source.folder


def status(db: str | Path, sweep: str | None = None) -> "pd.DataFrame":
    """A row per study: dataset, test environments, algorithm, optimizer, and runs by status."""
    with open_database(db, read_only=True) as database:
        return counts(database, sweep)


def query(
    db: str | Path,
    where: str | None = None,
    *,
    select: str | None = None,
    sql: str | None = None,
    sweep: str | None = None,
    checkpoint: str = "last",
    metric: str = "accuracy",
) -> "pd.DataFrame":
    """Runs with their scores, as a DataFrame.

    Args:
        db: URL or path of the database.
        where: A condition on columns and hyperparameters:
            ``"optimizer = 'adam' and lr < 1e-3 and status = 'completed'"``.
        select: A run rule (``id_val``, ``worst_group_val``, ``ood_val``,
            ``leave_one_environment_out``, ``oracle``): only the run that it selects in each
            (dataset, test environments, algorithm, optimizer), among those that match ``where``.
        sql: Instead of the above, a SQL question; the connection is read-only. Views: ``v_runs``,
            ``v_pairs``, ``v_best``.
        sweep: Only runs of this sweep.
        checkpoint: Which checkpoint is scored: ``last`` or ``best_id_val``.
        metric: Of the scores, in place of accuracy, such as ``worst_group_accuracy``: what
            datasets with published splits are scored by. Conditions and checkpoints go by accuracy.

    Returns:
        A row a run: ``id`` and ``ood`` accuracy, what they are made of, status, hyperparameters.

    Raises:
        QueryError: If the condition or the SQL cannot be answered.
        UnknownNameError: If a column, a rule or the sweep does not exist.
        RequestError: If ``where`` looks at test scores before a rule that may not.
    """
    from oodbench.metrics import LOWER
    from oodbench.results import pairs
    from oodbench.results import sql as run_sql
    from oodbench.results.select import select as select_runs

    if where and select not in (None, "oracle") and re.search(TEST_SCORES, where):
        raise RequestError(
            f"The rule {select} never looks at test scores, but {where!r} would drop runs by "
            "theirs before it selects. Filter what it selects instead, or select by oracle."
        )
    if select and metric in LOWER:
        raise RequestError(f"Selection takes the highest score, but {metric} is better if lower.")
    with open_database(db, read_only=True) as database:
        if sql is not None:
            if where or select or sweep:
                raise RequestError("sql goes alone: put conditions into the SQL itself.")
            return run_sql(database, sql)
        frame = pairs(database, where, sweep, checkpoint, metric=metric)
    return frame if select is None else select_runs(frame, select)


def confirmed(db: str | Path, sweep: str | None = None) -> "pd.DataFrame":
    """Winners that were trained again on fresh seeds: see ``analysis.confirmation_table``."""
    from oodbench import analysis

    return analysis.confirmation_table(query(db, sweep=sweep))


def conclude(
    db: str | Path,
    where: str | None = None,
    *,
    sweep: str | None = None,
    checkpoint: str = "last",
    **options: Any,
) -> "Conclusions":
    """What the runs say about optimizers out of distribution; see ``analysis.conclude``.

    Args:
        db: URL or path of the database.
        where: A condition on the runs.
        sweep: Runs of this sweep only.
        checkpoint: Which checkpoint of a run is scored.
        options: ``rule``, ``budget``, ``unit``, ``seed``.
    """
    from oodbench import analysis

    return analysis.conclude(query(db, where, sweep=sweep, checkpoint=checkpoint), **options)


def probe(
    kind: str,
    db: str | Path,
    where: str | None = None,
    *,
    select: str | None = None,
    sweep: str | None = None,
    **options: Any,
) -> "pd.DataFrame":
    """Train completed runs again, measure something on the way, and store it with them.

    Args:
        kind: ``rsi-eb`` or ``sharpness``.
        db: URL or path of the database.
        where: A condition on the runs.
        select: A run rule, as in ``query``.
        sweep: Runs of this sweep only.
        options: See ``oodbench.verbs.probe.probe``.

    Returns:
        A row a run.

    Raises:
        UnknownNameError: If there is no such probe.
        RequestError: If no completed run is left, or one cannot be trained here.
    """
    from oodbench.verbs.probe import KINDS
    from oodbench.verbs.probe import probe as run_probe

    if kind not in KINDS:
        raise UnknownNameError("probe", kind, KINDS)
    frame = query(db, where, select=select, sweep=sweep)
    runs = list(dict.fromkeys(frame.loc[frame["status"] == "completed", "run"]))
    if not runs:
        raise RequestError("No completed run matches: there is nothing to probe.")
    return run_probe(db, kind, runs, **options)


def show(db: str | Path, run: str) -> RunDetails:
    """All that is known of one run, by its id or enough of its beginning."""
    with open_database(db, read_only=True) as database:
        return run_details(database, run)


def evaluate(db: str | Path, run: str, **options: Any) -> "pd.DataFrame":
    """Score a run's kept weights: see ``oodbench.verbs.evaluate.evaluate``."""
    from oodbench.verbs.evaluate import evaluate as score

    return score(db, run, **options)


def score(dataset: str, **options: Any) -> "pd.DataFrame":
    """What a dataset's authors report of a classifier: see ``oodbench.verbs.score.score``."""
    from oodbench.verbs.score import score as as_its_authors

    return as_its_authors(dataset, **options)


def reproduce(db: str | Path, run: str, **options: Any) -> "Reproduced":
    """Train a stored run again and compare: see ``oodbench.verbs.reproduce.reproduce``."""
    from oodbench.verbs.reproduce import reproduce as train_again

    return train_again(db, run, **options)


KINDS = ("datasets", "algorithms", "optimizers", "models")


def catalogue(kind: str, name: str | None = None) -> "pd.DataFrame":
    """What there is to choose from.

    Args:
        kind: ``datasets``, ``algorithms``, ``optimizers`` or ``models``.
        name: Only this one; it may be an optimizer of pytorch-optimizer, which are not listed.

    Raises:
        UnknownNameError: If there is none of that kind or name.
        RequestError: If it is known why there is none.
    """
    import pandas as pd

    from oodbench.data import DATASETS
    from oodbench.optimizers import OPTIMIZERS
    from oodbench.verbs.catalogue import ROWS, optimizer

    if kind not in ROWS:
        raise UnknownNameError("catalogue", kind, ROWS)
    if name is not None and kind == "optimizers":
        return pd.DataFrame([optimizer(OPTIMIZERS.get(name))])
    if name is not None and kind == "datasets":
        DATASETS.get(name)
    table = pd.DataFrame(ROWS[kind]())
    if name is not None and name not in set(table["name"]):
        raise UnknownNameError(kind.removesuffix("s"), name, table["name"])
    return table if name is None else table[table["name"] == name]


def plot(
    kind: str,
    db: str | Path,
    output: str | Path,
    where: str | None = None,
    *,
    sweep: str | None = None,
    palette: str = "default",
    checkpoint: str = "last",
    **options: Any,
) -> Path:
    """Draw the runs of a database into a file.

    Args:
        kind: ``scatter``, ``binned``, ``box``, ... of ``oodbench.verbs.plot.KINDS``: each is a
            function of ``analysis``, which says what it shows.
        db: URL or path of the database.
        output: A file ending in .png, .pdf or .svg.
        where: As for ``query``.
        sweep: Only runs of this sweep.
        palette: ``default`` (colour-blind safe) or ``study`` (Naganuma et al. 2023).
        checkpoint: Which checkpoint is scored.
        options: The kind's own, such as ``keep="top"``.

    Returns:
        The path of the file.

    Raises:
        UnknownNameError: If there is no such kind, palette, column, sweep or checkpoint rule.
        RequestError: If an option does not fit the kind, or the file cannot be written.
    """
    from oodbench import analysis
    from oodbench.verbs.plot import draw

    look: dict[str, Any] = {"checkpoint": checkpoint, "palette": palette, **options}
    with open_database(db, read_only=True) as database:
        figure = draw(database, kind, where, sweep=sweep, **look)
    with _writable(Path(output)):
        return analysis.save(figure, output)


def report(
    db: str | Path,
    output: str | Path,
    where: str | None = None,
    *,
    sweep: str | None = None,
    checkpoint: str = "last",
    **options: Any,
) -> Path:
    """Write what the runs say as one HTML file that opens offline.

    Args:
        db: URL or path of the database.
        output: A file ending in .html; replaced if it exists, and never left half written.
        where: As for ``query``.
        sweep: Only runs of this sweep.
        checkpoint: Which checkpoint is scored.
        options: ``rule``, ``budget``, ``unit``, ``seed``, ``title``, ``palette`` and ``on_step`` of
            ``analysis.report_html``.

    Returns:
        The path of the file.

    Raises:
        UnknownNameError: No such rule, unit, palette, column, sweep or checkpoint rule.
        QueryError: If the condition is none, or no run has the score that the rule reads.
        RequestError: No runs, or the file cannot be written.
    """
    from oodbench.results import describe_target
    from oodbench.verbs.report import report_page

    path = Path(output)
    if path.suffix not in (".html", ".htm"):
        raise RequestError(f"A report is an .html file, but got {str(path)!r}: name it so.")
    with open_database(db, read_only=True) as database:
        look: dict[str, Any] = {"checkpoint": checkpoint, "name": describe_target(db), **options}
        page = report_page(database, where, sweep=sweep, **look)
    with _writable(path):
        part = path.with_name(f"{path.name}.part")
        part.write_text(page, encoding="utf-8", newline="\n")
        return part.replace(path)


@contextmanager
def _writable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RequestError(
            f"Cannot write to {path}: {error.strerror}. Name another place."
        ) from error


def quickstart(
    out: str | Path = "quickstart",
    *,
    workers: int | None = None,
    on_progress: Callable[[Counts], None] = lambda counts: None,
) -> "pd.DataFrame":
    """A whole small study on real digits: sweep, database, figures, summary.

    Leaves in ``out``: ``digits.yaml``, ``results.db``, ``scatter-*.png``, ``box-*.png`` and
    ``summary.md``.

    Args:
        out: Folder for the results; an interrupted study goes on from there.
        workers: Processes; one for each CPU core by default.
        on_progress: As for ``run_sweep``.

    Returns:
        ``analysis.optimizer_table`` of the study.

    Raises:
        RequestError: If the folder cannot be written.
    """
    from oodbench.siblings import sibling
    from oodbench.verbs.digest import write_digest

    folder = Path(out)
    text = (sibling("sweeps") / RECIPE).read_text(encoding="utf-8")
    with _writable(folder):
        folder.mkdir(parents=True, exist_ok=True)
        recipe = folder / RECIPE
        if not recipe.exists():  # an edited copy is kept: it adds trials
            recipe.write_text(text, encoding="utf-8")
    db = folder / "results.db"
    run_sweep(recipe, db, workers=workers, on_progress=on_progress)
    with _writable(folder), open_database(db, read_only=True) as database:
        return write_digest(database, as_spec(recipe).name, folder)
