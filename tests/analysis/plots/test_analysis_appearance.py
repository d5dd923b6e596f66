"""How figures are laid out and written: size, columns, legend, axes, figures for a paper."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

import analysis
from analysis.curves.axes import on_axis
from analysis.plots.appearance import LEGENDS, PAGE_HEIGHT, TEXT_WIDTH, LegendAppearance
from oodbench.errors import RequestError, UnknownNameError


@pytest.fixture
def many(run: Any) -> pd.DataFrame:
    """Six datasets with two algorithms each, of two optimizers, whose runs are alike."""
    rows = [
        run(1000 * d + 100 * a + 10 * o + i, optimizer, (0.5 + 0.05 * i, 0.4), algorithm=algorithm)
        | {"dataset": f"Set{d}"}
        for d in range(6)
        for a, algorithm in enumerate(("erm", "irm"))
        for o, optimizer in enumerate(("sgd", "adam"))
        for i in range(6)
    ]
    return pd.DataFrame(rows)


def drawn(figure: Any) -> list[Any]:
    """The axes that hold runs."""
    return [axes for axes in figure.axes if axes.get_xlabel()]


def columns(figure: Any) -> int:
    return len({axes.get_subplotspec().colspan.start for axes in drawn(figure)})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"size": "8"},
            r"a width and a height of 1 to 60 inches, but got '8'. Write them as 6.9,4",
        ),
        ({"size": (3, -1)}, r"but got \(3, -1\)"),
        ({"size": "a,b"}, "but got 'a,b'"),
        (
            {"size": (6.9, 2)},
            r"a height of \d\.\d inches or more, but size asks for 2. Ask for more",
        ),
        ({"dpi": 2}, "dpi is a whole number from 50 to 1200, but got 2"),
        ({"columns": 0}, "columns is a whole number from 1 to 12, but got 0"),
        ({"columns": 1.5}, "columns is a whole number from 1 to 12, but got 1.5"),
    ],
)
def test_a_bad_value_is_refused_with_the_rule(pairs: Any, options: Any, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        analysis.scatter(pairs, **options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"style": "papers"}, "unknown style 'papers'. Did you mean 'paper'?"),
        ({"legend": "left"}, "unknown legend 'left'. Allowed: below, none, panel, right"),
        ({"axes": "log"}, "unknown axes 'log'"),
        ({"sizes": (3, 3)}, "unknown option 'sizes'. Did you mean 'size'?"),
    ],
)
def test_unknown_names_are_answered_with_near_ones(pairs: Any, options: Any, said: str) -> None:
    with pytest.raises(UnknownNameError) as found:
        analysis.scatter(pairs, **options)
    assert said in str(found.value)


def test_what_a_figure_does_not_have_it_does_not_take(pairs: pd.DataFrame) -> None:
    with pytest.raises(UnknownNameError, match="unknown option 'legend'"):
        analysis.returns(pairs, legend="none")  # type: ignore[call-arg]
    with pytest.raises(UnknownNameError, match="unknown option 'columns'"):
        analysis.box(pairs, columns=2)  # type: ignore[call-arg]


def test_the_size_asked_for_is_that_of_the_file(pairs: pd.DataFrame, tmp_path: Path) -> None:
    figure = analysis.scatter(pairs, size="6.5,5", dpi=100)
    path = analysis.save(figure, tmp_path / "a.png")
    header = path.read_bytes()[16:24]
    assert [int.from_bytes(header[at : at + 4], "big") for at in (0, 4)] == [650, 500]
    for kind in ("box", "violin", "binned"):
        assert tuple(getattr(analysis, kind)(pairs, size=(7, 6)).get_size_inches()) == (7, 6)


def test_many_panels_fit_a_page_with_one_legend(many: pd.DataFrame) -> None:
    """Two columns of six rows would be four pages high."""
    figure = analysis.scatter(many)
    width, height = figure.get_size_inches()
    assert width == pytest.approx(TEXT_WIDTH)
    assert height <= PAGE_HEIGHT + 0.5
    assert len(drawn(figure)) == 12
    assert columns(figure) == 4
    (legend,) = (axes.get_legend() for axes in figure.axes if axes.get_legend())
    assert [text.get_text() for text in legend.get_texts()] == ["SGD 72 of 72", "Adam 72 of 72"]
    assert legend.get_title().get_text() == "completed, of all runs; hollow: adaptive"
    headings = [text.get_text() for axes in drawn(figure) for text in axes.texts]
    assert sum("n = 12 of 12" in heading for heading in headings) == 12
    assert "All panels: 300 steps." in figure.get_supxlabel()


@pytest.mark.parametrize("legend", LEGENDS)
def test_columns_and_legend_are_as_asked_for(many: pd.DataFrame, legend: Any) -> None:
    few = many[many["dataset"] < "Set3"]
    figure = analysis.scatter(few, columns=3, legend=legend)
    assert columns(figure) == 3
    assert len([axes for axes in figure.axes if axes.get_legend()]) == (
        legend in ("below", "right")
    )
    tables = [axes for axes in figure.axes if "completed" in [t.get_text() for t in axes.texts]]
    assert len(tables) == (6 if legend == "panel" else 0)


def test_more_columns_than_panels_leave_no_gap(pairs: pd.DataFrame) -> None:
    grid = drawn(analysis.scatter(pairs, columns=9, legend="none"))[0].get_gridspec()
    assert grid.ncols == 2


def test_panels_of_a_dataset_share_their_axes_wherever_they_stand(many: pd.DataFrame) -> None:
    """ERM and IRM of the second dataset stand in two rows of three."""
    wider = many.assign(
        id=many["id"] - 0.3 * (many["dataset"] == "Set1") * (many["algorithm"] == "irm")
    )
    shown = drawn(analysis.scatter(wider[wider["dataset"] < "Set2"], columns=3, legend="none"))
    limits = [axes.get_xlim() for axes in shown]
    assert limits[2] == limits[3]
    assert limits[0] == limits[1] != limits[2]


@pytest.mark.parametrize("axis", ["logit", "probit"])
def test_accuracies_stand_where_their_axis_has_them(run: Any, axis: str) -> None:
    """A run with an ID accuracy of 1 on 100 examples stands at 100.5 / 101."""
    rows = pd.DataFrame([run(i, "sgd", score) for i, score in enumerate([(0.5, 0.3), (1.0, 0.7)])])
    (axes,) = drawn(analysis.scatter(rows, axes=axis, legend="none"))
    points = np.concatenate(
        [c.get_offsets() for c in axes.collections if c.get_gid() == "runs-sgd"]
    )
    np.testing.assert_allclose(sorted(points[:, 0]), [0.5, 100.5 / 101])
    places = axes.transData.transform([(x, 0.5) for x in (0.1, 0.5, 0.9)])[:, 0]
    expected = on_axis([0.1, 0.5, 0.9], axis)
    np.testing.assert_allclose(
        (places[1] - places[0]) / (places[2] - places[0]),
        (expected[1] - expected[0]) / (expected[2] - expected[0]),
    )
    assert axes.get_xlim() == axes.get_ylim()
    assert axes.get_xlim()[0] < 0.3
    assert axes.get_xlim()[1] > 100.5 / 101
    assert axes.get_xlabel() == f"ID accuracy ({axis} axis)"


def test_runs_without_a_place_are_counted(run: Any) -> None:
    rows = pd.DataFrame([run(i, "sgd", score) for i, score in enumerate([(0.5, 0.3), (1.0, 0.7)])])
    (axes,) = drawn(analysis.scatter(rows.assign(n_id=np.nan), axes="logit", legend="none"))
    heading = " ".join(text.get_text() for text in axes.texts).replace("\n", " ")
    assert "1 not drawn: they have no place on a logit axis" in heading


def test_on_paper_headings_and_notes_are_beside_the_figure(
    pairs: pd.DataFrame, tmp_path: Path
) -> None:
    figure = analysis.binned(pairs, style="paper", title="A title")
    assert figure.get_supxlabel() == figure.get_suptitle() == ""
    figure.canvas.draw()
    words = [text.get_text() for text in figure.findobj(mpl.text.Text)]
    assert "ERM on ColoredDigits, test environment 2" in [word.replace("\n", " ") for word in words]
    assert not any("examples" in word or "A title" in word for word in words)
    path = analysis.save(figure, tmp_path / "new" / "figure.pdf")
    caption = (path.parent / "figure.caption.txt").read_text(encoding="utf-8")
    plain = " ".join(caption.split())
    assert plain.startswith("A title Points: mean OOD accuracy of the runs")
    assert "ERM on ColoredDigits, test environment 2: 5 of 7 runs, on 100 ID and 50 OOD" in plain
    assert max(map(len, caption.split("\n"))) <= 100
    analysis.save(analysis.binned(pairs), tmp_path / "screen.pdf")
    assert not (tmp_path / "screen.caption.txt").exists()


def test_a_record_takes_its_own_of_the_arguments_of_a_call() -> None:
    look, others = LegendAppearance.taken({"columns": 2, "budget": 4})
    assert (look.columns, look.legend, others) == (2, None, {"budget": 4})


def test_a_heat_map_of_many_optimizers_fits_a_page(run: Any) -> None:
    """At three lines a cell it would be 12 inches high; of five datasets four stand abreast."""
    names = [f"optimizer{i}" for i in range(21)]
    rows = [
        run(10 * o + i, name, (0.5 + i / 50 + o / 500, 0.4 + ((i * o) % 7) / 50))
        for o, name in enumerate(names)
        for i in range(8)
    ]
    rows.append(run(999, names[0], None))
    figure = analysis.heatmap(pd.DataFrame(rows), resamples=50)
    assert figure.get_size_inches()[1] <= PAGE_HEIGHT
    cells = [text.get_text() for text in figure.axes[0].texts]
    assert cells.count("n = 8") == 20
    assert "9, 1 lost" in cells
    few = pd.DataFrame(rows[:16])
    wide = pd.concat([few.assign(dataset=f"Set{d}", run=few["run"] + f"{d}") for d in range(5)])
    blocks = analysis.heatmap(wide, resamples=50).axes
    assert [len(axes.get_xticks()) for axes in blocks] == [4, 1]
    assert [
        len(axes.get_xticks()) for axes in analysis.heatmap(wide, resamples=50, columns=2).axes
    ] == [2, 2, 1]
