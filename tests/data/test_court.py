import numpy as np
import pytest

from understudy.data.court import HOOPS, flip, half_court, infer
from understudy.data.demonstrations import Demonstrations
from understudy.data.readers import read
from understudy.types import Group, Spec, UserError

RATE = 5.0


def attack(rows=40, seed=0):
    """Visitors attack the left hoop: the home five stand between them and it. Ball with slot 7."""
    rng = np.random.default_rng(seed)
    spots = np.array([[8.0 + 2 * i, 8.0 + 8 * i] for i in range(5)])
    home = spots + np.array([2.0, 1.0])
    away = spots + np.array([9.0, 1.0])
    players = np.concatenate([home, away])[None] + rng.normal(0, 0.1, (rows, 10, 2))
    ball = players[:, 7] + 0.5
    return players.astype(np.float32), ball.astype(np.float32)


def demonstrations(plays):
    lengths = [len(ball) for _, ball in plays]
    teams = {
        "player": np.array([["home"] * 5 + ["visitor"] * 5] * len(plays)),
        "ball": np.array([[""]] * len(plays)),
    }
    ids = {
        "player": np.array([[str(i) for i in range(10)]] * len(plays)),
        "ball": np.array([["-1"]] * len(plays)),
    }
    return Demonstrations(
        spec=Spec((Group("player", 10, 2), Group("ball", 1, 2))),
        starts=np.concatenate([[0], np.cumsum(lengths)]),
        features={
            "player": np.concatenate([p for p, _ in plays]),
            "ball": np.concatenate([b for _, b in plays])[:, None],
        },
        alive={
            "player": np.ones((sum(lengths), 10), bool),
            "ball": np.ones((sum(lengths), 1), bool),
        },
        rate=RATE,
        unit="ft",
        labels={
            "episode": np.array([f"play{i}" for i in range(len(plays))]),
            "source": np.array(["made"] * len(plays)),
        },
        agent_labels={"team": teams, "id": ids},
    )


def test_flip_is_its_own_inverse_and_swaps_the_hoops():
    points = np.random.default_rng(0).uniform(0, 50, (7, 3, 2)).astype(np.float32)
    np.testing.assert_allclose(flip(flip(points)), points, atol=1e-5)
    np.testing.assert_allclose(flip(np.array(HOOPS)), HOOPS[::-1])


def test_offence_defence_and_hoop_are_told_and_the_attack_goes_left():
    players, ball = attack()
    turned = np.concatenate([players[:, 5:], players[:, :5]], 1)  # now the home five attack
    said = []
    d = half_court(
        demonstrations([(players, ball), (flip(turned), flip(ball))]), observed=10, say=said.append
    )
    assert said == ["2 plays set up in one half; 0 left out, where that cannot be told"]
    assert d.spec.names == ("offence", "defence", "ball")
    assert d.labels["offence"].tolist() == ["visitor", "home"]
    assert d.labels["hoop"].tolist() == ["left", "right"]
    assert d.agent_labels["id"]["offence"].tolist() == [list("56789"), list("01234")]
    np.testing.assert_array_equal(d.features["offence"][:40], players[:, 5:])
    np.testing.assert_allclose(d.features["offence"][40:], players[:, 5:], atol=1e-5)
    np.testing.assert_allclose(d.features["defence"][40:], players[:, :5], atol=1e-5)
    np.testing.assert_allclose(d.features["ball"][40:, 0], ball, atol=1e-5)
    assert d.context["bounds"].tolist() == [[[0, 0], [47, 50]]] * 2


def test_rows_after_the_observed_ones_change_nothing_but_themselves():
    players, ball = attack()
    noise = np.random.default_rng(1).uniform(0, 50, (30, 10, 2)).astype(np.float32)
    changed = np.concatenate([players[:10], noise]), np.concatenate([ball[:10], noise[:, 0]])
    one = half_court(demonstrations([(players, ball)]), observed=10)
    two = half_court(demonstrations([changed]), observed=10)
    assert one.labels["hoop"].tolist() == two.labels["hoop"].tolist()
    assert one.starts.tolist() == two.starts.tolist()
    for group in one.spec.names:
        np.testing.assert_array_equal(one.features[group][:10], two.features[group][:10])


def test_a_play_begins_where_everybody_is_in_one_half():
    players, ball = attack(rows=40)
    players, ball = players.copy(), ball.copy()
    players[:12, 9, 0] = 60  # the last man comes up late
    d = half_court(demonstrations([(players, ball)]), observed=10)
    assert d.frames == 28
    np.testing.assert_array_equal(d.features["defence"][0], players[12, :5])


def test_what_cannot_be_told_is_left_out_and_counted():
    good = attack()
    players, _ = attack()
    loose = np.where(np.arange(40)[:, None] % 2 == 0, players[:, 2], players[:, 7])
    level = players.copy()
    level[:, :5] = level[:, 5:] + np.float32(0.1)  # nobody stands between
    level[..., 0] += 20
    said = []
    d = half_court(
        demonstrations([good, (players, loose), (level, level[:, 7])]),
        say=said.append,
    )
    assert d.labels["episode"].tolist() == ["play0"]
    assert "2 left out" in said[0]
    with pytest.raises(UserError, match="found none"):
        half_court(demonstrations([(players, loose)]))


def test_other_sets_are_refused():
    d = demonstrations([attack()])
    with pytest.raises(UserError, match="expected feet, found m"):
        half_court(d.replace(unit="m"))
    with pytest.raises(UserError, match="at least 2 observed rows"):
        half_court(d, observed=1)
    with pytest.raises(UserError, match="expected the agent label team"):
        half_court(d.replace(agent_labels={}))


def test_every_stretch_gets_an_answer():
    players, ball = attack(rows=25)
    found = infer(players, ball, 10, RATE)
    assert found.known.shape == found.right.shape == (16,)
    assert found.known.all()
    assert found.visitors.all()
    assert not found.right.any()


def test_the_hoop_agrees_with_where_the_ball_ends_on_real_baskets(real_data):
    scenes = read("scenes", real_data / "nba_socialvae" / "score_train.npz")
    d = half_court(scenes.resample(RATE), observed=10)
    assert d.episodes >= 2500  # of 2676
    last = d.starts[1:, None] - 1 - np.arange(5)
    ball = d.features["ball"][last, 0]
    distance = np.linalg.norm(ball[:, :, None] - np.array(HOOPS), axis=-1).min(1)
    plain = distance.min(1) < 8  # feet
    assert plain.mean() > 0.95
    assert (distance.argmin(1) == 0)[plain].mean() >= 0.999
    beyond = d.features["offence"][..., 0] > 47
    assert beyond.mean() < 0.01
