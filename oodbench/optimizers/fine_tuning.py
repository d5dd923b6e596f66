"""How a model is fine-tuned: hyperparameters that any optimizer takes, beside its own.

They say what share of the learning rate a part of the model gets, whether its weights decay, from
which step on it is trained, and in how many pieces a batch is computed. See
``oodbench.models.parts`` for the parts.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from oodbench.errors import RequestError
from oodbench.spaces import Choice, Range, Scalar, parse

NONE = "none"
JOINT = "+"
"""Between the words of one value: ``stem+blocks 0-5``; a sweep file may write them as a list."""
KINDS = ("norm", "bias", "embedding")
"""What ``no_decay`` may name."""
PLACES = ("embedding", "stem", "head")
"""What ``freeze`` may name, beside blocks and patterns."""
BLOCKS = re.compile(r"blocks? (\d+)(?:-(\d+))?")
PATTERN = re.compile(r"[*?.\[]")
"""What a pattern has, and no other word."""


@dataclass(frozen=True)
class FineTuning:
    """The values of one trial; at their defaults they change nothing.

    Attributes:
        layer_decay: Each part's learning rate is that of the next deeper one times this; the head
            has the whole (BEiT: Bao et al. 2022, arXiv 2106.08254).
        head_lr: The head's learning rate is the optimizer's times this.
        no_decay: Parameters of these ``KINDS`` have no weight decay.
        freeze: What is never trained: ``embedding`` or ``stem`` (one part by two names), ``blocks
            0-5`` (the first six), ``block 3``, ``head``, or parameters by a pattern such as
            ``*.norm?.*`` on their names.
        unfreeze_at: The step, or the share of the steps, from which all is trained. Before, parts
            join one by one at equal distances, from the head down (Howard & Ruder 2018, arXiv
            1801.06146). 0: all from the start.
        linear_steps: In so many first steps the head alone is trained; then all is, by a new
            optimizer (LP-FT: Kumar et al. 2022, arXiv 2202.10054).
        linear_lr: The head's learning rate in the linear steps (ERM++: Teterwak et al. 2023, arXiv
            2304.01973). None: that which it has afterwards.
        accumulate: Pieces in which each batch is computed, to save memory; see
            ``oodbench.training.accumulation``.
    """

    layer_decay: float = 1.0
    head_lr: float = 1.0
    no_decay: tuple[str, ...] = ()
    freeze: tuple[str, ...] = ()
    unfreeze_at: int | float = 0
    linear_steps: int = 0
    linear_lr: float | None = None
    accumulate: int = 1

    @classmethod
    def of(cls, hparams: Mapping[str, Scalar]) -> "FineTuning":
        """The values among a trial's hyperparameters."""
        given = {name: hparams[name] for name in NAMES if name in hparams}
        return cls(**{k: words(v) if k in WORDS else v for k, v in given.items()})  # type: ignore[arg-type]

    def changes(self, *names: str) -> list[str]:
        """Which of these are not at their default."""
        return [name for name in names if getattr(self, name) != getattr(FineTuning, name)]

    def check_steps(self, steps: int) -> None:
        """Raise RequestError if a run of so many steps is not long enough."""
        for name in self.changes("unfreeze_at", "linear_steps"):
            if self.first_step_of_all(steps) >= steps:
                raise RequestError(
                    f"{name}: {getattr(self, name)} leaves none of the {steps} steps to train the "
                    f"whole model; lower {name}, or raise steps."
                )

    def first_step_of_all(self, steps: int) -> int:
        """The step from which all is trained that ever is, of so many."""
        share = isinstance(self.unfreeze_at, float)
        return self.linear_steps or round(self.unfreeze_at * (steps if share else 1))


NAMES = tuple(field.name for field in fields(FineTuning))
WORDS = ("no_decay", "freeze")
REAL = ("uniform", "log", "one_minus_log")
SCALES = {
    "layer_decay": REAL,
    "head_lr": REAL,
    "unfreeze_at": (*REAL, "int"),
    "linear_steps": "int",
    "linear_lr": REAL,
    "accumulate": "int",
}
"""Scales of ranges; other settings take only values and choices."""
RULES = {
    "layer_decay": "a number above 0 and at most 1",
    "head_lr": "a number above 0",
    "no_decay": f"none, or one or several of {', '.join(KINDS)}",
    "freeze": "none, or one or several of embedding, stem, head, block 3, blocks 0-5, and patterns "
    "on the names of parameters such as '*.norm1.*'",
    "unfreeze_at": "a step (a whole number from 0 on), or a share of the steps below 1",
    "linear_steps": "a whole number of steps from 0 on",
    "linear_lr": "a number above 0",
    "accumulate": "a whole number of pieces from 1 on",
}


def words(value: Any) -> tuple[str, ...]:
    """The words of a value: ``stem+blocks 0-5`` has two, ``none`` has none."""
    return () if value == NONE else tuple(str(value).split(JOINT))


def read(name: str, given: Any) -> Range | Choice:
    """What may be drawn for one of ``NAMES``, from its YAML form.

    Args:
        name: Name of the hyperparameter.
        given: A value, a range or a choice. A list is one value: all that it names.

    Raises:
        RequestError: If something may be drawn that it cannot be.
    """
    what = parse(joined(given) if name in WORDS else given)
    fine = isinstance(what, Choice) or what.scale in SCALES.get(name, ())
    values = ends(what)
    if not fine or not all(fits(name, value) for value in values):
        raise RequestError(f"needs {RULES[name]}, but got {given!r}.")
    if isinstance(what, Choice) and SCALES.get(name) is REAL:
        return Choice(tuple(map(float, values)))  # 1 and 1.0 are the same trial
    return what


def ends(what: Range | Choice) -> tuple[Any, ...]:
    """All values of a choice; the least and the largest of a range."""
    return what.values if isinstance(what, Choice) else (what.low, what.high)


def joined(given: Any) -> Any:
    """A list as one value; so in a choice."""
    if isinstance(given, list):
        return JOINT.join(map(str, given)) or NONE
    if isinstance(given, Mapping) and isinstance(given.get("choice"), list):
        return {**given, "choice": [joined(one) for one in given["choice"]]}
    return given


def fits(name: str, value: Any) -> bool:
    """Whether a value keeps to the rule."""
    if name in WORDS:
        check = {"no_decay": KINDS.__contains__, "freeze": is_part}[name]
        return isinstance(value, str) and all(map(check, words(value)))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if name == "layer_decay":
        return 0 < value <= 1
    if name in ("head_lr", "linear_lr"):
        return value > 0
    if name == "accumulate":
        return value >= 1 and isinstance(value, int)
    return value >= 0 and (isinstance(value, int) or (name == "unfreeze_at" and value < 1))


def is_part(word: str) -> bool:
    """Whether ``freeze`` may name it: a place, blocks in order, or a pattern."""
    blocks = BLOCKS.fullmatch(word)
    if blocks:
        return int(blocks[1]) <= int(blocks[2] or blocks[1])
    return word in PLACES or bool(PATTERN.search(word))
