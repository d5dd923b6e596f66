"""Rates from the times at which models finished, against rates that are known."""

from oodbench.verbs.live.paces import LUMP, MEMORY, Paces

NOW = 1_000_000.0


def test_a_steady_sweep_has_its_rate_at_the_first_look() -> None:
    """Four models every ten seconds, in two studies: the second has a quarter of them."""
    paces = Paces()
    studies = ("second", "first", "first", "first")
    ends = [(NOW - 100 + 10 * i, study) for i in range(10) for study in studies]
    paces.add(NOW, [*ends, *((at, "") for at, _ in ends)])
    assert paces.of("", NOW - 10, 40) == {"rate": "24.0 models/min", "left": "0:01:40"}
    assert paces.of("first", NOW - 10, 3)["rate"] == "18.0 models/min"
    assert paces.of("second", NOW - 10, 3)["rate"] == "6.0 models/min"


def test_what_comes_later_goes_on_from_there() -> None:
    paces = Paces()
    paces.add(NOW, [(NOW - 20, "a")] * 10)
    assert paces.of("a", NOW, 5) == {"rate": "", "left": ""}  # one lump has no rate
    paces.add(NOW, [(NOW - 10, "a")] * 20)
    assert paces.of("a", NOW - 10, 20) == {"rate": "2.0 models/s", "left": "0:00:10"}
    assert paces.of("a", NOW + 60, 20)["left"] == ""  # overdue


def test_models_that_finished_together_are_a_lump_and_old_ones_say_nothing() -> None:
    paces = Paces()
    for start in (NOW - 11.05, NOW - 10.0, NOW - 9.05):  # wherever a clock's seconds begin
        paces = Paces()
        paces.add(NOW, [(start + 0.01 * i, "a") for i in range(20)])
        assert paces.of("a", NOW, 5)["rate"] == ""
    assert paces.of("a", NOW, 5)["rate"] == ""
    paces.add(NOW, [(NOW - MEMORY - LUMP, "b"), (NOW - 1, "b")])
    assert paces.of("b", NOW, 5)["rate"] == ""
    assert paces.of("nothing", NOW, 5) == {"rate": "", "left": ""}
