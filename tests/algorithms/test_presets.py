"""Presets: names, stages, and that arguments reach the page."""

from importlib import import_module

import pytest

from understudy.algorithms import ALGORITHMS, presets
from understudy.algorithms.intents import IntentVRNN
from understudy.algorithms.stages import Stages
from understudy.networks.transformer import Transformer
from understudy.types import UserError


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_name_makes_an_algorithm(name):
    module, function = ALGORITHMS[name].split(":")
    made = getattr(import_module(module), function)()
    plays = name in ("ippo", "mappo", "happo", "mat", "mat-dec", "ddpg", "maddpg", "td3", "atoc")
    imitates = name in ("gail", "magail", "mild2", "mild2-gd")
    needs = {"env"} if plays else {"env", "demonstrations"} if imitates else {"demonstrations"}
    assert made.needs == needs


def test_a_name_is_a_point_in_the_space_of_arguments():
    found = {
        "rnn": presets.RNNGauss(),
        "joint": presets.VRNN(),
        "mixed": presets.VRNN("mixed", rnn=7),
        "vrae": presets.VRAE(information=True),
    }
    assert {n: (a.latent, a.sharing) for n, a in found.items()} == {
        "rnn": ("none", "joint"),
        "joint": ("step", "joint"),
        "mixed": ("step", "mixed"),
        "vrae": ("sequence", "mixed"),
    }
    assert found["mixed"].rnn == 7
    assert presets.VRNN(output="position").output == "position"


def test_intents_come_in_two_stages_or_at_once():
    stages = presets.IntentVRNN(steps=(2, 3), width=5)
    assert isinstance(stages, Stages)
    assert [(a.part, a.width, n) for a, n in stages.stages] == [("intents", 5, 2), ("plays", 5, 3)]
    at_once = presets.IntentVRNN(stages=False)
    assert isinstance(at_once, IntentVRNN)
    assert at_once.part == "all"


def test_published_presets_see_and_predict_positions_alone():
    for preset in (presets.published_rnn_gauss(), presets.published_vrnn()):
        assert (preset.velocity, preset.output, preset.burn_in) == (False, "position", "prior")


def test_wirings_go_by_the_names_people_know():
    found = [presets.RNNGauss(), presets.VRNN("mixed"), presets.VRAE()]
    assert [each.title for each in found] == ["RNN-gauss", "VRNN (mixed)", "VRAE"]


def test_arguments_reach_the_network_or_the_page():
    made = presets.MAPPO(hidden=(7,), envs=8)
    assert (made.network.hidden, made.network.critic, made.envs) == ((7,), "central", 8)
    assert presets.IPPO().network.critic == "own"
    assert presets.HAPPO().network.sharing == "independent"
    assert presets.MATDec(width=32).network == Transformer(width=32, decoder="independent")


@pytest.mark.parametrize("task", presets.PUBLISHED_MAT)
def test_published_transformers_clip_every_part_of_an_action(task):
    assert presets.published_mat(task).ratio == "part"


@pytest.mark.parametrize("task", presets.PUBLISHED_HAPPO)
def test_published_actors_are_normalised_and_their_own(task):
    network = presets.published_happo(task).network
    assert (network.sharing, network.normalise, network.std) == ("independent", True, "sigmoid")


def test_an_unknown_task_is_told_what_there_is():
    with pytest.raises(UserError, match="halfcheetah"):
        presets.published_happo("chess")
