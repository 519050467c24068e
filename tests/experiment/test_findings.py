import pytest

from understudy.experiment.findings import findings, judge, judge_policy, models, validation
from understudy.experiment.tables import Evaluation, cell, number


def evaluation(minade=1.0, ade=2.0, ratios=None):
    model = {
        "model": "net", "seed": None, "samples": 20, "minADE": minade, "ADE": ade,
        "ratios": {"speed": 1.02, "out_of_bounds": 1.5} if ratios is None else ratios,
    }  # fmt: skip
    still = {"model": "constant velocity", "reference": True, "minADE": 1.5, "ADE": 1.5}
    return Evaluation([{"model": "truth"}, model, still], {"unit": "ft"})


def levels(found):
    return [f.level for f in found]


def test_a_good_model_is_called_good():
    found = findings(evaluation(1.0, 1.2), [])
    assert set(levels(found)) == {"good"}
    assert "better than constant velocity" in found[0].text
    assert "1 against 1.500 ft" in found[0].text


def test_worse_than_constant_velocity_is_bad_by_the_best_and_a_warning_by_the_average():
    found = findings(evaluation(1.6, 2.0), [])
    assert levels(found)[:2] == ["bad", "warning"]
    assert "worse than constant velocity" in found[0].text


@pytest.mark.parametrize(
    ("ratios", "level", "words"),
    [
        ({"out_of_bounds": 2.5}, "warning", "2.5 times as often"),
        ({"out_of_bounds": 1.9}, "good", "1.9 times as often"),
        ({"speed": 1.2}, "warning", "20% faster"),
        ({"speed": 0.7}, "warning", "30% slower"),
        ({"speed": 1.1}, "good", "recorded pace"),
    ],
)
def test_plays_are_judged_against_what_was_recorded(ratios, level, words):
    whole = evaluation(ratios=ratios)
    found = judge(whole.row("net"), whole)[2:]
    assert [(f.level, words in f.text) for f in found] == [(level, True)]


def test_going_out_where_nobody_does_is_told():
    whole = evaluation(ratios={})
    whole.rows[0]["out_of_bounds"] = 0.0
    row = {**whole.row("net"), "out_of_bounds": 0.08}
    assert any("8% of rows" in f.text and f.level == "warning" for f in judge(row, whole))


def test_less_likely_than_constant_velocity_is_told():
    whole = evaluation()
    whole.rows[2]["elbo"] = 300.0
    texts = [f.text for f in judge({**whole.row("net"), "elbo": 250.0}, whole)]
    assert any("250 against 300 nats" in text for text in texts)
    assert not any("nats" in f.text for f in judge({**whole.row("net"), "elbo": 350.0}, whole))


def test_untrained_intents_come_first():
    found = findings(evaluation(), [], lack="expected trained intents, found none")
    assert found[0].level == "bad"
    assert "expected trained intents" in found[0].text


def test_a_run_without_evaluation_says_so():
    assert "not evaluated" in findings(None, [])[0].text


def lines(values, stage=1):
    return [
        {"stage": stage, "step": 10 * i, "validation/elbo": [v, v]} for i, v in enumerate(values)
    ]


def test_a_validation_bound_that_falls_is_named_with_its_best():
    (found,) = validation(lines([100.0, 200.0, 150.0, 120.0]))
    assert found.level == "warning"
    assert "update 10" in found.text
    assert validation(lines([100.0, 200.0, 199.9]))[0].level == "good"
    assert validation(lines([100.0, 200.0])) == []


def test_only_the_last_stage_counts_and_diverged_seeds_do_not():
    assert validation(lines([900.0] * 3, 0) + lines([100.0, 150.0, 160.0]))[0].level == "good"
    partly = [
        {**row, "validation/elbo": [row["validation/elbo"][0], None]} for row in lines([1.0] * 3)
    ]
    assert validation(partly)[0].level == "good"


def test_several_seeds_are_judged_by_their_mean():
    rows = [{"model": "net", "seed": s, "minADE": 1.0} for s in (0, 1, "mean")]
    assert [r["seed"] for r in models(Evaluation(rows, {}))] == ["mean"]


@pytest.mark.parametrize(("share", "level"), [(0.01, "warning"), (0.4, "warning"), (0.8, "good")])
def test_a_policy_that_solves_less_than_halfway_to_the_expert_is_a_warning(share, level):
    team = {"model": "team", "success_rate": share, "mean_return": 1.0}
    rows = [{"model": who, "reference": True, "success_rate": rate}
            for who, rate in (("expert", 1.0), ("random", 0.0))]  # fmt: skip
    found = judge_policy(team, Evaluation([team, *rows], {}))
    assert levels(found) == [level]
    assert found[0].text == f"team solves {share:.0%} of episodes (expert 100%, random 0%)."


def test_figures_are_written_to_be_read():
    assert number(1234.56) == "1,235"
    assert number(123.456) == "123.5"
    assert number(1.23456) == "1.235"
    assert number(49.0) == "49"
    assert cell({"minADE": 1.2345, "intervals": {"minADE": [1.1, 1.4]}}, "minADE") == "1.234 ±.15"
    assert cell({"speed": 2.0, "ratios": {"speed": 1.25}}, "speed") == "2 (1.25)"
    assert cell({"out_of_bounds": 0.0312}, "out_of_bounds") == "3.120"
    assert cell({}, "minADE") == ""
