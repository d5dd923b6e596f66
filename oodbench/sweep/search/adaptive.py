"""Adaptive search: Optuna's TPE and GP, by ask and tell, on a study that is refilled each time.

The results database is the only truth; the Optuna study lives in memory for one question.
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from oodbench.records import Scalar
from oodbench.seeds import seed_of
from oodbench.spaces import Range, Space
from oodbench.sweep.search.designs import draw

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

ADAPTIVE = ("tpe", "gp")
"""Samplers that learn from results: their draws are not independent."""
MOST_REPEATS = 1000
"""Random draws that may all be known before a space counts as tried out."""
RETRIES = 5
"""How often an adaptive sampler may repeat itself before a random draw takes its place."""

ARGUMENTS: dict[str, dict[str, Any]] = {
    "tpe": {"n_startup_trials": 1, "multivariate": True, "constant_liar": True},
    "gp": {"n_startup_trials": 1, "deterministic_objective": False},
}
"""Settings where Optuna's versions have different defaults. We do the start-up ourselves."""


def described(sampler: str) -> dict[str, Any]:
    """What decides an adaptive sampler's proposals, beside the search settings."""
    return {"sampler": sampler, "arguments": ARGUMENTS[sampler], "optuna": version("optuna")}


@dataclass(frozen=True)
class Tried:
    """A configuration that was tried before.

    Attributes:
        hparams: Values of its hyperparameters.
        score: What is to be high; minus infinity if it diverged; None while it is not known, or if
            it failed.
        failed: Whether it ended in an error, which is no evidence about the configuration.
    """

    hparams: Mapping[str, Scalar]
    score: float | None = None
    failed: bool = False

    @property
    def ended(self) -> bool:
        """Whether nothing more will be known."""
        return self.failed or self.score is not None


@dataclass(frozen=True)
class Proposal:
    """A configuration to try, and who drew it: ``random`` or the adaptive sampler."""

    hparams: Mapping[str, Scalar]
    sampler: str


def propose(
    space: Space, sampler: str, tried: Sequence[Tried], n: int, *, startup: int, seed: int
) -> list[Proposal]:
    """The next ``n`` configurations of an adaptive search (ask and tell; Optuna's TPE or GP).

    Until ``startup`` configurations have ended, and one of them has a finite score, they are the
    next ones of the random search with this seed. No configuration is proposed twice; where a space
    of few values has no new one left, fewer than ``n`` are returned.

    Args:
        space: Hyperparameter -> range or choice.
        sampler: One of ``ADAPTIVE``.
        tried: All that was proposed before, in that order.
        n: How many.
        startup: See above.
        seed: Seed of the search. With the same history the same is proposed.
    """
    known = {_key(item.hparams) for item in tried}
    found: list[Proposal] = []

    def add(hparams: Mapping[str, Scalar], who: str) -> bool:
        if _key(hparams) in known:
            return False
        known.add(_key(hparams))
        found.append(Proposal(hparams, who))
        return True

    learnt = any(item.score is not None and item.score > -math.inf for item in tried)
    if learnt and sum(item.ended for item in tried) >= startup:
        asking = _Asking(space, sampler, tried, seed_of(seed, "search", sampler, len(tried)))
        for _ in range(n + RETRIES):
            if len(found) < n:
                add(asking.ask(), sampler)
    for more in (n, MOST_REPEATS):
        if len(found) < n:
            for hparams in draw(space, len(tried) + more, seed)[len(tried) :]:
                if len(found) < n:
                    add(hparams, "random")
    return found


def _key(hparams: Mapping[str, Scalar]) -> tuple[tuple[str, Scalar], ...]:
    return tuple(sorted(hparams.items()))


class _Asking:
    """An Optuna study in memory that knows what was tried."""

    def __init__(self, space: Space, sampler: str, tried: Sequence[Tried], seed: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        classes = {"tpe": optuna.samplers.TPESampler, "gp": optuna.samplers.GPSampler}
        chosen = classes[sampler](seed=seed % 2**32, **ARGUMENTS[sampler])
        self._space = space
        self._free = {n: w for n, w in space.items() if isinstance(w, Range) or len(w.values) > 1}
        self._study = optuna.create_study(direction="maximize", sampler=chosen)
        self._distributions = {name: what.distribution() for name, what in self._free.items()}
        for item in tried:
            self._study.add_trial(self._told(item))

    def _told(self, item: Tried) -> "FrozenTrial":
        import optuna

        state = "FAIL" if item.failed else "RUNNING" if item.score is None else "COMPLETE"
        return optuna.trial.create_trial(
            state=optuna.trial.TrialState[state],
            value=item.score,
            params={name: w.sampled(item.hparams[name]) for name, w in self._free.items()},
            distributions=self._distributions,
        )

    def ask(self) -> dict[str, Scalar]:
        """The next configuration; what was asked for stays in the study as running."""
        with warnings.catch_warnings():  # that minus infinity is taken as the lowest score
            warnings.filterwarnings("ignore", "Clip non-finite values", UserWarning)
            params = self._study.ask(self._distributions).params
        fixed = {n: w.at(0) for n, w in self._space.items() if n not in self._free}
        return fixed | {name: what.value(params[name]) for name, what in self._free.items()}
