import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from analysis.conclusions.conclude import conclude
from analysis.conclusions.text import conclusions_text
from analysis.plots.binned import binned
from analysis.plots.box import box
from analysis.plots.budget import budget
from analysis.plots.files import Drawing, save
from analysis.plots.heatmap import heatmap
from analysis.plots.scatter import scatter
from analysis.plots.style import looks
from analysis.plots.texts import wrapped
from analysis.plots.violin import violin
from analysis.runs.distributions import boxes, density
from analysis.runs.panels import panels
from oodbench.errors import RequestError, UnknownNameError
from oodbench.optimizers import OPTIMIZERS


def texts(figure):
    figure.canvas.draw()
    found = [text.get_text() for text in figure.findobj(mpl.text.Text)]
    return [text for text in found if text]


def points(axes, optimizer):
    drawn = [c.get_offsets() for c in axes.collections if c.get_gid() == f"runs-{optimizer}"]
    return sorted(map(tuple, np.concatenate(drawn).tolist())) if drawn else []


def test_every_completed_run_is_a_point_and_within_the_limits(pairs):
    figure = scatter(pairs)
    erm, irm = (axes for axes in figure.axes if axes.get_xlabel())
    assert points(erm, "sgd") == [(0.5, 0.52), (0.8, 0.2), (0.9, 0.1)]
    assert points(erm, "adam") == [(0.6, 0.5), (0.7, 0.4)]
    assert points(irm, "sgd") == [(0.65, 0.66)]
    assert points(irm, "adam") == []
    assert erm.get_xlim() == erm.get_ylim() == irm.get_xlim() == pytest.approx((0.06, 0.94))


def test_selected_runs_have_rings_when_asked_for(pairs):
    assert not [c for axes in scatter(pairs).axes for c in rings(axes)]
    figure = scatter(pairs, mark="selected")
    erm, irm = (axes for axes in figure.axes if axes.get_xlabel())
    assert sorted(map(tuple, rings(erm))) == [(0.7, 0.4), (0.9, 0.1)]  # the best id_val of each
    assert sorted(map(tuple, rings(irm))) == [(0.65, 0.66)]
    assert "the run that id_val selects" in figure.get_supxlabel()
    with pytest.raises(UnknownNameError, match="unknown mark 'best'"):
        scatter(pairs, mark="best")


def rings(axes):
    drawn = [c.get_offsets() for c in axes.collections if c.get_gid() == "selected"]
    return [point for offsets in drawn for point in np.asarray(offsets).tolist()]


@pytest.mark.parametrize("scores", [[(0.0, 1.0)], [(1.0, 0.0), (0.3, 0.3)], [(0.5, 0.5)]])
def test_limits_hold_every_point_and_chance(run, scores):
    rows = pd.DataFrame([run(i, "sgd", score) for i, score in enumerate(scores)])
    low, high = scatter(rows).axes[0].get_xlim()
    assert low < min(0.5, *np.ravel(scores))
    assert high > max(0.5, *np.ravel(scores))


def test_legend_counts_runs_by_status(pairs):
    _, table = scatter(pairs, algorithm="erm").axes
    cells = [text.get_text() for text in table.texts]
    assert cells == [
        "hollow: adaptive",
        *("completed", "diverged", "failed"),
        *("SGD", "3", "1", "0"),
        *("Adam", "2", "0", "1"),
    ]


def test_pending_runs_get_a_column_of_their_own(pairs):
    pairs.loc[3, "status"] = "waiting"
    _, table = scatter(pairs, algorithm="erm").axes
    cells = [text.get_text() for text in table.texts]
    assert cells[4:10] == ["pending", "SGD", "3", "0", "0", "1"]


def test_headings_say_how_many_runs_and_examples(pairs):
    (panel, _) = panels(pairs)
    assert panel.heading == (
        "ERM on ColoredDigits, test environment 2",
        "5 of 7 runs, on 100 ID and 50 OOD examples",
        "300 steps",
    )
    pairs.loc[0, ["n_id", "sampler"]] = [90, "tpe"]
    pairs["precision"] = ["bf16", *["float32"] * (len(pairs) - 1)]
    (panel, _) = panels(pairs)
    assert panel.heading[1:] == (
        "5 of 7 runs, on 90 to 100 ID and 50 OOD examples",
        "pooled over precision: bf16, float32",
        "300 steps",
        "pooled over sampler: tpe, random",
    )


def test_headings_are_broken_between_phrases_where_these_fit():
    drawn = "2,370 of 2,400 runs, on 1,438 ID and 1,797 OOD examples"
    assert wrapped([drawn], 48) == "2,370 of 2,400 runs,\non 1,438 ID and 1,797 OOD examples"
    assert wrapped([drawn, "300 steps"], 60) == f"{drawn}\n300 steps"
    assert (
        wrapped(["pooled over model: aa, bb, cc, dd"], 22) == "pooled over model: aa,\nbb, cc, dd"
    )
    assert wrapped(["one two three, four"], 8) == "one two\nthree,\nfour"


def test_a_long_heading_takes_nothing_from_the_axes(pairs):
    """The second figure's heading has six lines more."""
    few, many = pairs[pairs["algorithm"] == "erm"], pairs[pairs["algorithm"] == "erm"].copy()
    for column in ("precision", "model", "batch", "sampler", "checkpoint"):
        many[column] = [f"{column} {i % 2}" for i in range(len(many))]
    sizes = []
    for figure in (scatter(few), scatter(many)):
        figure.draw_without_rendering()
        sizes.append(figure.axes[0].get_window_extent().width)
    assert sizes[1] >= sizes[0]


def test_figures_and_conclusions_say_that_a_backbone_was_frozen(run):
    """Options are canonical JSON in the table, as the database has them."""
    said = "backbone frozen, a head trained: lite"
    options = '{"hidden":64,"train":"head"}'
    rows = [
        run(i, optimizer, (0.5 + i / 100, 0.4), model="lite", model_options=options)
        for i, optimizer in enumerate(["sgd", "adam"] * 12)
    ]
    frozen, plain = pd.DataFrame(rows), pd.DataFrame(rows).assign(model_options=None)
    for draw in (scatter, box, heatmap, budget):
        shown = " ".join(" ".join(texts(draw(frozen))).split())  # some lines are wrapped
        assert said in shown.replace("Backbone", "backbone")
        assert "frozen" not in " ".join(texts(draw(plain)))
    text = " ".join(conclusions_text(conclude(frozen)).split())
    assert f"Runs 24 completed; {said}." in text
    assert "frozen" not in conclusions_text(conclude(plain))


def test_a_dataset_has_a_row_and_an_algorithm_a_panel(pairs):
    both = pd.concat([pairs, pairs.assign(dataset="RotatedDigits", chance=0.1)])
    figure = scatter(both)
    assert {"chance 0.5", "chance 0.1", "y = x"} <= set(texts(figure))
    shown = {}
    for axes in (one for one in figure.axes if one.get_xlabel()):
        place = axes.get_subplotspec()
        (heading,) = (text.get_text() for text in axes.texts if " on " in text.get_text())
        shown[heading.partition(",")[0]] = (place.rowspan.start, place.colspan.start)
    assert shown == {
        "ERM on ColoredDigits": (0, 0),
        "IRM on ColoredDigits": (0, 1),
        "ERM on RotatedDigits": (2, 0),
        "IRM on RotatedDigits": (2, 1),
    }


def test_boxes_hold_the_quartiles_and_whiskers_of_their_runs(run):
    values = [0.1, 0.5, 0.52, 0.54, 0.56, 0.58, 0.6]
    rows = pd.DataFrame([run(i, "sgd", (value, 0.25)) for i, value in enumerate(values)])
    (panel,) = panels(rows)
    (one,) = boxes(panel, "id")
    (expected,) = mpl.cbook.boxplot_stats(values)
    assert one.quartiles == pytest.approx([expected[key] for key in ("q1", "med", "q3")])
    assert one.whiskers == (expected["whislo"], expected["whishi"]) == (0.5, 0.6)
    assert one.outliers == (0.1,)
    assert boxes(panel, "gap")[0].quartiles[1] == pytest.approx(0.54 - 0.25)


def test_box_shows_every_run_of_a_small_group_and_only_outliers_of_a_large_one(run):
    rows = [run(i, "sgd", (0.5 + 0.001 * i, 0.3)) for i in range(61)]
    few, many = pd.DataFrame(rows[:60]), pd.DataFrame([*rows[:60], run(61, "sgd", (0.05, 0.3))])
    assert len(points(box(few).axes[0], "sgd")) == 60
    drawn = points(box(many).axes[0], "sgd")
    assert [x for x, _ in drawn] == [0.05]


def test_box_and_violin_show_the_runs_kept_and_say_how_many(run):
    values = [0.6, 0.7, 0.8, 0.9]
    rows = pd.DataFrame([run(i, "sgd", (0.5, x), id_val=x) for i, x in enumerate(values)])
    for draw in (box, violin):
        figure = draw(rows, keep="top", top=2)
        assert [x for x, _ in points(figure.axes[1], "sgd")] == [0.8, 0.9]
        assert "SGD\n2 of 4" in texts(figure)
        figure = draw(rows, keep="above", threshold=0.7)
        assert [x for x, _ in points(figure.axes[1], "sgd")] == [0.8, 0.9]


def test_the_axes_of_the_best_few_span_these_alone(run):
    rows = pd.DataFrame([run(i, "sgd", (0.9 + 0.01 * i, 0.2 + 0.01 * i)) for i in range(3)])
    ranges = [axes.get_xlim() for axes in box(rows, keep="top").axes]
    assert ranges == [pytest.approx(r) for r in ((0.88, 0.94), (0.18, 0.24), (0.68, 0.72))]
    together = [axes.get_xlim() for axes in box(rows).axes[:2]]
    assert together[0] == together[1] == pytest.approx((0.164, 0.956))


def test_densities_are_sums_of_gaussians_of_scotts_width():
    values = (0.1, 0.2, 0.25, 0.6, 0.9)
    grid, height = density(values, 50)
    width = np.std(values, ddof=1) * len(values) ** (-1 / 5)
    bumps = np.exp(-0.5 * ((grid[:, None] - np.array(values)) / width) ** 2)
    expected = bumps.mean(axis=1) / (width * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(height, expected)
    assert (grid[0], grid[-1]) == (0.1, 0.9)
    assert density((0.5, 0.5))[0].size == density(())[0].size == 0


def test_violins_stand_for_five_runs_or_more(run):
    rows = [run(i, "sgd", (0.5 + 0.01 * i, 0.3)) for i in range(5)]
    rows += [run(9 + i, "adam", (0.6 + 0.01 * i, 0.4)) for i in range(4)]
    ids, oods, _ = violin(pd.DataFrame(rows)).axes
    shapes = {c.get_gid(): c for c in ids.collections if c.get_gid()}
    outline = shapes["violin-sgd"].get_paths()[0].vertices
    assert (outline[:, 0].min(), outline[:, 0].max()) == pytest.approx((0.5, 0.54))
    assert len(points(ids, "adam")) == 4
    assert "violin-adam" not in shapes
    assert len(points(oods, "sgd")) == 5  # equal scores have no density


def test_box_labels_count_what_has_no_score(pairs):
    labels = set(texts(box(pairs)))
    assert "SGD\n3 completed, 1 diverged" in labels
    assert "Adam\n2 completed, 1 failed" in labels
    assert "Adam\n0 completed, 1 diverged" in labels


@pytest.mark.parametrize("draw", [scatter, binned, box, violin])
def test_runs_without_scores_draw_an_empty_figure_that_says_so(pairs, draw):
    figure = draw(pairs[pairs["status"] != "completed"])
    assert any("no completed run" in text for text in texts(figure))


@pytest.mark.parametrize("draw", [scatter, binned, box, violin])
def test_no_runs_and_unknown_names_are_refused(pairs, draw):
    with pytest.raises(RequestError, match="no runs here"):
        draw(pairs.iloc[:0])
    with pytest.raises(UnknownNameError, match="Did you mean 'ColoredDigits'"):
        draw(pairs, dataset="ColourDigits")
    with pytest.raises(UnknownNameError, match="Allowed: erm, irm"):
        draw(pairs, algorithm="vrex")
    with pytest.raises(UnknownNameError, match="Allowed: default, study"):
        draw(pairs, palette="rainbow")
    other = pd.concat([pairs, pairs[:1].assign(dataset="Other")])
    with pytest.raises(RequestError, match="No run of dataset 'Other' used the algorithm 'irm'"):
        draw(other, dataset="Other", algorithm="irm")


@pytest.mark.parametrize("draw", [scatter, binned, box, violin])
def test_names_are_drawn_literally(pairs, draw):
    odd = pairs.assign(dataset="D_$et$<1>", algorithm="$x_1$", optimizer="my_$\\opt$")
    figure = draw(odd, title="100$ and $\\nope{$")
    joined = "\n".join(texts(figure))  # would raise if it were read as mathematics
    assert "$x_1$ on D_$et$<1>" in joined
    assert "my_$\\opt$" in joined
    assert not any(
        text.get_parse_math() for text in figure.findobj(mpl.text.Text) if "$" in text.get_text()
    )


def test_looks_are_fixed_distinct_and_mark_adaptive_optimizers(run):
    names = ["zeta", "adam", "sgd", "momentum", "nesterov", "rmsprop", "adamw", "alpha"]
    rows = pd.DataFrame([run(i, name, None) for i, name in enumerate(names)])
    found = looks(rows)
    assert len({look.color for look in found.values()}) == len(names)
    assert len({look.marker for look in found.values()}) == len(names)
    assert [name for name in names if not found[name].filled] == ["adam", "rmsprop", "adamw"]
    assert found == {name: looks(rows[::-1])[name] for name in names}
    assert looks(rows, "study")["rmsprop"].color == "#8b0000"
    assert looks(rows, {"alpha": "red"})["alpha"].color == "red"


@pytest.mark.parametrize("column", [None, np.nan])
def test_of_tables_without_kinds_the_common_optimizers_have_their_own(run, column):
    names = ["sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw"]
    rows = pd.DataFrame([run(i, name, None) for i, name in enumerate(names)])
    rows = (
        rows.drop(columns="optimizer_kind")
        if column is None
        else rows.assign(optimizer_kind=column)
    )
    kinds = {name: OPTIMIZERS.get(name).kind for name in names}
    assert {name: look.filled for name, look in looks(rows).items()} == {
        name: kind == "non-adaptive" for name, kind in kinds.items()
    }


@pytest.mark.parametrize("draw", [scatter, box, violin])
def test_axes_name_the_metric_that_is_shown(pairs, draw):
    labels = [axes.get_xlabel() for axes in draw(pairs, metric="worst_group_accuracy").axes]
    assert "ID worst group accuracy" in labels
    assert "ID accuracy" in [axes.get_xlabel() for axes in draw(pairs).axes]


def test_drawing_leaves_the_global_settings_alone(pairs):
    before = dict(mpl.rcParams)
    for draw in (scatter, binned, box, violin):
        draw(pairs)
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
def test_equal_figures_become_equal_files(pairs, tmp_path, suffix):
    first = save(scatter(pairs), tmp_path / "new" / f"a.{suffix}")
    again = save(scatter(pairs), str(tmp_path / f"b.{suffix}"))
    assert first.read_bytes() == again.read_bytes()


def test_other_suffixes_are_refused(pairs, tmp_path):
    with pytest.raises(RequestError, match=r"one of \.pdf, \.png, \.svg, but the path is.*\.jpg"):
        save(scatter(pairs), tmp_path / "figure.jpg")


def test_a_notebook_is_given_an_image_and_its_size(pairs):
    figure = scatter(pairs)
    assert isinstance(figure, Drawing)
    image, shown = figure._repr_png_()
    assert image.startswith(b"\x89PNG")
    pixels = [int.from_bytes(image[place : place + 4], "big") for place in (16, 20)]  # its header
    inches = figure.get_size_inches()
    np.testing.assert_allclose(pixels, 200 * inches, atol=1)
    np.testing.assert_allclose([shown["width"], shown["height"]], 150 * inches, atol=1)
