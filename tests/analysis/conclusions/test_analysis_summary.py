import pytest

from analysis.conclusions.markdown import escape
from analysis.conclusions.summary import summary_markdown
from oodbench.errors import RequestError


def test_summary_says_what_was_found(pairs):
    text = summary_markdown(
        pairs, title="Digits", notes=["Look here."], figures=["scatter.png", "my box.pdf"]
    )
    assert text.startswith("# Digits\n\n9 runs: 6 completed, 2 diverged, 1 failed.\n")
    assert (
        "### ERM on ColoredDigits, test environment 2\n\nChance accuracy: 0.5; 300 steps\n" in text
    )
    assert "| SGD | 3 | 1 | 0 | 0.900 (0.826 to 0.945) | 100 |" in text
    assert "| +0.800 | `0000000000000003` |" in text
    assert "| Adam | 0 | 1 | 0 | none | 0 | none | 0 | none | none |" in text
    assert "- Look here." in text
    assert "![scatter](scatter.png)" in text
    assert "[my box](<my box.pdf>)" in text


def test_tables_have_as_many_cells_as_heads(pairs):
    blocks = summary_markdown(pairs, title="").split("\n\n")
    tables = [block.splitlines() for block in blocks if block.startswith("|")]
    assert len(tables) > 1
    for lines in tables:
        assert len({line.count("|") for line in lines}) == 1


def test_the_health_of_each_search_is_a_table(pairs):
    """SGD on ColoredDigits: three completed at .95, .9 and .9, and one lost."""
    text = summary_markdown(pairs, title="Digits")
    health = text.split("## Search health")[1].split("\n## ")[0]
    assert "### ERM on ColoredDigits, test environment 2" in health
    assert "| SGD | 4 | 25% |" in health
    assert "| Adam | 1 | 100% | 0% |" in health
    assert "Search health" not in summary_markdown(pairs.assign(sampler="tpe"), title="Digits")


def test_reasons_that_differ_in_numbers_only_are_counted_together(pairs):
    text = summary_markdown(pairs, title="Digits")
    assert "- 2 diverged (SGD 1, Adam 1): The loss became non-finite at step 4." in text
    assert "- 1 failed (Adam 1): Out of memory." in text
    completed = pairs[pairs["status"] == "completed"]
    assert "Why runs" not in summary_markdown(completed, title="Digits")


def test_pending_runs_are_called_so(pairs):
    pairs.loc[3, "status"] = "running"
    text = summary_markdown(pairs, title="Digits")
    assert "1 diverged, 1 failed, 1 pending. This is not the final state." in text


def test_an_oracle_rule_says_so(pairs):
    text = summary_markdown(pairs.assign(oracle_val=pairs["id"]), title="Digits", rule="oracle")
    assert "**It reads the test environments**" in text


def test_names_are_shown_literally(pairs):
    assert escape("a_$b$|<c>\n*") == r"a\_\$b\$\|\<c\> \*"
    text = summary_markdown(pairs.assign(dataset="D_$1$|x"), title="<b>")
    assert text.startswith(r"# \<b\>")
    assert r"D\_\$1\$\|x" in text


def test_nothing_to_sum_up_is_refused(pairs):
    with pytest.raises(RequestError, match="no runs here"):
        summary_markdown(pairs.iloc[:0], title="Digits")


def test_a_dataset_without_id_test_examples_says_so(pairs):
    text = summary_markdown(pairs.assign(id_test=float("nan"), checkpoint="last"), title="Digits")
    assert "ID scores are of validation examples: there is no ID test split" in text
    assert "Both at the checkpoint `last`" in text
