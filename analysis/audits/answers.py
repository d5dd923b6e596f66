"""The questions of an audit and their answers, in words: the terminal and the page show these."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from ..runs.names import shift_name, tested_on
from ..stats.intervals import Estimate
from .audit import Audit
from .duplicates import Duplicates
from .line import Line
from .noise import Noise
from .sizes import SetSize

QUESTION = 20
"""Letters that a question takes at the left of a terminal."""

WELL = {
    "yes": "Well specified: among the better half higher ID accuracy goes with lower OOD accuracy",
    "no": "Not well specified: among the better half higher ID accuracy goes with higher OOD "
    "accuracy, so robust and good training cannot be separated here",
    "undecided": "Whether it is well specified is undecided",
}


@dataclass(frozen=True)
class Answered:
    """A question with its answer.

    Attributes:
        question: A few words.
        answer: Sentences, with intervals and n.
        warning: What would mislead whoever did not know it; empty: nothing.
    """

    question: str
    answer: str
    warning: str = ""


def heading(audit: Audit) -> str:
    """Which dataset, which test environments, how many models."""
    where = f", {tested_on(audit.test_environments)}" if audit.test_environments else ""
    lost = f", {audit.diverged} diverged" if audit.diverged else ""
    name = audit.dataset or "Predictions"
    return (
        f"{name}{where}: {audit.models} models{lost}, {audit.learned} of them above chance "
        f"({audit.chance:.3f})"
    )


def answers(audit: Audit) -> tuple[Answered, ...]:
    """Each question that the audit can answer."""
    found = [_on_the_line(audit), _inverted(audit), _without_labels(audit)]
    found += [_shift(audit)] if audit.shift else []
    found += [_hardness(audit)] if audit.hardness else []
    found.append(_enough(audit))
    found += [_duplicates(audit)] if audit.duplicates else []
    return (*found, _labels(audit))


def audit_text(audits: Sequence[Audit], width: int = 80) -> str:
    """The answers of each audit, in lines of at most ``width`` characters.

    Args:
        audits: The result of ``analysis.audit``.
        width: Characters of a line.
    """
    lines = []
    for audit in audits:
        lines += ["", *textwrap.wrap(heading(audit), width)]
        for one in answers(audit):
            text = f"{one.answer} Warning: {one.warning}" if one.warning else one.answer
            first, *rest = textwrap.wrap(text, width - QUESTION - 2)
            lines.append(f"  {one.question:<{QUESTION}}{first}")
            lines += [" " * (QUESTION + 2) + line for line in rest]
    return "\n".join(lines[1:])


def _on_the_line(audit: Audit) -> Answered:
    every, learned = audit.line, audit.line_learned
    text = f"{_line(every).capitalize()}."
    if learned.n < every.n:
        text += f" Above chance: {_line(learned)}."
    good = f"correlation {_interval(learned.correlation_good)}, n = {learned.n_good}"
    text += f" {WELL[learned.well_specified]} ({good})."
    return Answered("On the line?", text)


def _line(line: Line) -> str:
    slope = f"slope {_interval(line.slope)}" if line.n else "no slope"
    return f"{slope}, correlation {_interval(line.correlation)} on probit axes, n = {line.n}"


def _inverted(audit: Audit) -> Answered:
    found, question = audit.selection, "What inverts it?"
    ours, theirs = found.models
    if not found.shares:
        return Answered(
            question,
            f"Not looked for: {ours + theirs} models are above chance, and 20 are the fewest.",
        )
    tried = {one.share: one for one in found.shares}
    if not found.inverted:
        least = found.shares[0]
        text = (
            f"No part is known to: on the {least.share:.0%} that {ours} models chose (n = "
            f"{least.n}) the correlation among {theirs} others is {_interval(least.held_out)}."
        )
        return Answered(question, text)
    one = tried[found.inverted]
    if one.share == 1:
        text = (
            f"All of the OOD examples (n = {one.n:,}): among {theirs} models the correlation of ID "
            f"and OOD accuracy is {_interval(one.held_out)}."
        )
        return Answered(question, text)
    text = (
        f"{one.share:.0%} of the OOD examples (n = {one.n}), chosen by {ours} models: among "
        f"{theirs} others the correlation of ID and OOD accuracy there is "
        f"{_interval(one.held_out)}."
    )
    part = "most" if one.share > 0.5 else "a part"
    warning = (
        f"OOD accuracy as a whole hides {part} of the examples, on which the better model in "
        "distribution is the worse one; wrong labels may be among them."
    )
    overall = audit.line_learned.correlation
    return Answered(question, text, warning if overall.low > 0 else "")


def _without_labels(audit: Audit) -> Answered:
    found, question = audit.agreement, "OOD without labels?"
    if not found.estimates:
        return Answered(question, f"Not looked at: {found.verdict}.")
    text = (
        f"{found.verdict[0].upper()}{found.verdict[1:]}: agreement of pairs has the correlation "
        f"{_interval(found.correlation)} and the slope {_interval(found.slope)} (accuracy "
        f"{_interval(found.slope_of_accuracy)}); OOD accuracy estimated by it (ALine-D) is off by "
        f"{_interval(found.error)} on the mean, n = {found.models} models."
    )
    side = "above" if found.bias.value > 0 else "below"
    warning = (
        f"Agreement looks sound, and its estimate of OOD accuracy is wrong here, by "
        f"{abs(found.bias.value):.2f} {side} the truth on the mean."
    )
    return Answered(question, text, warning if found.verdict == "strong, and wrong here" else "")


def _shift(audit: Audit) -> Answered:
    text = (
        f"Measured: {shift_name(audit.shift)} (diversity {audit.diversity:.2f}, correlation "
        f"{audit.correlation:.2f})."
    )
    return Answered("What shift?", text)


def _hardness(audit: Audit) -> Answered:
    found = audit.hardness
    assert found is not None
    text = (
        f"ID accuracy {_interval(found.linear_id)} and OOD {_interval(found.linear_ood)}; the best "
        f"other model ID {_interval(found.other_id)} and OOD {_interval(found.other_ood)} (each "
        f"by ID validation; n = {audit.id_size.n:,} and {audit.ood_size.n:,})."
    )
    return Answered("For a linear model?", text)


def _enough(audit: Audit) -> Answered:
    margin = f"{100 * audit.margin:g} point{'' if audit.margin == 0.01 else 's'}"
    text = " ".join(
        _size(name, size, margin) for name, size in (("ID", audit.id_size), ("OOD", audit.ood_size))
    )
    short = [
        name for name, size in (("ID", audit.id_size), ("OOD", audit.ood_size)) if not size.enough
    ]
    warning = (
        f"The {' and the '.join(short)} test set {'is' if len(short) == 1 else 'are'} too small "
        f"for a difference of {margin} between two models."
    )
    return Answered("Test set enough?", text, warning if short and audit.ood_size.pairs else "")


def _size(name: str, size: SetSize, margin: str) -> str:
    if not size.pairs:
        return f"{name}: no two models above chance to compare."
    if not size.error:
        return f"{name}: the good models answer alike (n = {size.n:,})."
    return (
        f"{name}: two good models differ with a standard error of {100 * size.error:.2f} points "
        f"(n = {size.n:,}); {margin} need{'' if margin.endswith('s') else 's'} {size.needed:,} "
        f"examples; {size.ties:.0%} of {size.pairs} pairs are ties."
    )


def _duplicates(audit: Audit) -> Answered:
    text = " ".join(_same(name, found) for name, found in audit.duplicates.items())
    same = sum(found.same for found in audit.duplicates.values())
    return Answered("Duplicates?", text, "Test examples were trained on." if same else "")


def _same(name: str, found: Duplicates) -> str:
    other = f" ({found.of_other_label} under another label)" if found.of_other_label else ""
    return (
        f"{name}: {found.same:,} of {found.n:,} test examples equal a training example{other}, and "
        f"{found.near:,} of {found.compared:,} are near one; the nearest has a median correlation "
        f"of {found.closest:.2f}."
    )


def _labels(audit: Audit) -> Answered:
    text = " ".join(
        _contradicted(name, noise)
        for name, noise in (("ID", audit.id_noise), ("OOD", audit.ood_noise))
    )
    return Answered("Wrong labels?", text)


def _contradicted(name: str, noise: Noise) -> str:
    if not noise.models:
        return f"{name}: no model above chance."
    return (
        f"{name}: the good models contradict the label with one voice on "
        f"{_interval(noise.share, 3)} of the examples (n = {noise.n:,}, {noise.models} models)."
    )


def _interval(estimate: Estimate, digits: int = 2) -> str:
    """An estimate and its interval, such as ``0.52 (0.30 to 0.69)``."""

    def text(value: float) -> str:
        return f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}")

    if estimate.value != estimate.value:
        return "not known"
    if estimate.low != estimate.low:
        return text(estimate.value)
    return f"{text(estimate.value)} ({text(estimate.low)} to {text(estimate.high)})"
