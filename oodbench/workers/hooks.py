"""A function of the user's that is called after each run is stored: ``on_run_end``."""

import importlib.util
import sys
import traceback
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from oodbench.errors import RequestError
from oodbench.records import RunRecord
from oodbench.results.store import summarise

Hook = Callable[[RunRecord, Mapping[str, Any]], object]
"""``hook(run, scores)``: the run as it was stored, and its scores at the last checkpoint."""


def load_hook(name: str) -> Hook:
    """The function called ``module:function`` or ``path/to/file.py:function``.

    Raises:
        RequestError: If there is none, or its module cannot be imported.
    """
    module, _, function = name.rpartition(":")
    if not module or not function:
        raise RequestError(
            f"A hook is named module:function or file.py:function, but got {name!r}."
        )
    try:
        loaded = _from_file(Path(module)) if module.endswith(".py") else import_module(module)
    except Exception as error:  # whatever the user's module does
        raise RequestError(f"The hook {name} cannot be imported: {error!r}.") from error
    found = getattr(loaded, function, None)
    if not callable(found):
        raise RequestError(f"The hook {name} cannot be used: {module} has no function {function}.")
    return found  # type: ignore[no-any-return]


def absolute(name: str) -> str:
    """The name for another process, which may work in another folder."""
    module, _, function = name.rpartition(":")
    return f"{Path(module).absolute()}:{function}" if module.endswith(".py") else name


def call_hook(hook: Hook, record: RunRecord) -> None:
    """Call the hook. Its errors are printed on stderr and change nothing: the run is stored."""
    try:
        hook(record, summarise(record).get("last", {}))
    except (Exception, SystemExit):
        print(f"run {record.trial.id}: stored, but on_run_end failed:", file=sys.stderr)
        traceback.print_exc()


def _from_file(path: Path) -> Any:
    if not path.is_file():
        raise FileNotFoundError(f"{path} is no file")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
