import numpy as np
import pytest
from small_sets import everything, tracks

from understudy.data import boids, check
from understudy.data.demonstrations import Demonstrations, Splits
from understudy.data.quality import check_leaks, check_splits
from understudy.types import Group, Spec


def walks(episodes=6, rows=40, agents=3, *, rate=5.0, unit="ft", name="player", seed=0):
    """Smooth tracks at a walking pace of about 4 units per second."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 6, (episodes, 1, agents)) + 0.1 * rng.normal(
        size=(episodes, rows, agents)
    ).cumsum(1)
    velocity = 4 * np.stack([np.cos(angle), np.sin(angle)], -1)
    x = rng.uniform(0, 50, (episodes, 1, agents, 2)) + velocity.cumsum(1) / rate
    frames = episodes * rows
    return Demonstrations(
        spec=Spec((Group(name, agents, 2, features=("x", "y")),)),
        starts=np.arange(episodes + 1) * rows,
        features={name: x.reshape(frames, agents, 2).astype(np.float32)},
        alive={name: np.ones((frames, agents), bool)},
        rate=rate,
        unit=unit,
        labels={
            "episode": np.asarray([f"e{i}" for i in range(episodes)]),
            "source": np.full(episodes, "walks"),
            "game": np.asarray([f"g{i // 2}" for i in range(episodes)]),
        },
    )


def named(findings):
    return [(f.level, f.name, f.episodes) for f in findings]


def test_good_tracks_are_silent():
    assert check(walks()) == []
    assert check(boids(64, 0)) == []


def test_values_that_are_not_finite_are_errors_that_name_the_episodes():
    d = walks()
    d.features["player"][40, 1, 0] = np.nan
    d.features["player"][41, 1, 0] = np.inf
    (finding,) = check(d)
    assert (finding.level, finding.name, finding.episodes) == ("error", "not finite", ("e1",))
    assert finding.message == (
        "features of group 'player' are not finite numbers in 2 rows in 1 of 6 episodes (e1); "
        "mark agents that are missing as not alive"
    )


def test_uniform_noise_is_refused_and_one_noisy_episode_is_a_warning():
    d = walks(episodes=20, rows=50, agents=11)
    noise = np.random.default_rng(1).uniform(0, 50, d.features["player"].shape).astype("f4")
    found = check(d.replace(features={"player": noise}))
    assert ("error", "noise") in [(f.level, f.name) for f in found]
    assert len(found[0].episodes) == 20
    assert any("ft/s on average, expected below 25" in f.message for f in found)

    one = d.features["player"].copy()
    one[100:150] = noise[100:150]
    found = check(d.replace(features={"player": one}))
    assert ("warning", "noise", ("e2",)) in named(found)


def test_people_who_stand_with_jitter_are_not_noise():
    d = walks()
    jitter = np.random.default_rng(2).normal(0, 0.01, (40, 3, 2))
    d.features["player"][:40] = d.features["player"][0] + jitter
    assert check(d) == []


@pytest.mark.parametrize(
    ("unit", "speed", "found"), [("ft", 60.0, True), ("ft", 30.0, False), ("", 60.0, True)]
)
def test_teleports_are_jumps_beyond_people_and_beyond_the_set(unit, speed, found):
    d = walks(unit=unit)
    d.features["player"][100:, 1] += np.asarray([speed / 5.0, 0], np.float32)
    findings = named(check(d))
    assert findings == ([("warning", "teleports", ("e2",))] if found else [])


def test_the_jump_between_episodes_is_no_teleport():
    d = walks()
    d.features["player"][40:80] += np.float32(5000)
    assert check(d) == []


def test_a_ball_may_fly_faster_than_people():
    d = walks(name="ball", agents=1)
    d.features["ball"][100:] += np.asarray([20.0, 0], np.float32)
    assert check(d) == []


def test_frozen_tracks_and_frozen_clocks():
    d = walks()
    d.features["player"][:40, 2] = d.features["player"][0, 2]
    d.features["player"][90:97] = d.features["player"][90]
    findings = check(d)
    assert named(findings) == [("warning", "frozen", ("e0",)), ("warning", "frozen", ("e2",))]
    assert "tracks of group 'player' never move (1 of them)" in findings[0].message
    assert "nobody of group 'player' moves for up to 1.2 s" in findings[1].message


def test_copies_under_other_names_are_errors():
    d = walks()
    d.features["player"][200:240] = d.features["player"][40:80]
    assert named(check(d)) == [("error", "duplicates", ("e5",))]


def test_leaks_between_splits_by_name_by_content_and_by_game():
    d = walks()
    clean = Splits(d[:2], d[2:4], d[4:])
    assert check(d, clean) == []

    same_name = Splits(d[:3], d[2:4], d[4:])
    assert ("error", "leaks", ("e2",)) in named(check_leaks(same_name))

    copy = walks()[4:]
    copy.features["player"][:40] = d.features["player"][:40]
    leaked = Splits(d[:2], d[2:4], copy)
    assert named(check_leaks(leaked)) == [("error", "leaks", ("e0", "e4"))]

    by_episode = Splits(d[:3], d[3:4], d[4:])
    (finding,) = check_leaks(by_episode)
    assert (finding.level, finding.episodes) == ("warning", ("g1",))
    assert finding.message.endswith("(g1); split by game")


def test_the_parts_of_a_split_are_checked_one_by_one():
    d = walks()
    noise = np.random.default_rng(1).uniform(0, 50, d.features["player"].shape).astype("f4")
    bad = d.replace(features={"player": noise})
    found = check_splits(Splits(d[:3], bad[2:4], d[4:]))
    assert [f.name for f in found] == ["noise", "noise", "leaks", "leaks"]
    assert found[0].message.startswith("validation: positions of group 'player' jump about")
    assert found[2].episodes == ("e2",)


def test_sets_without_positions_are_looked_at_too():
    d = everything()
    assert check(d) == []
    d.rewards["agents"][0, 0] = np.nan
    assert named(check(d)) == [("error", "not finite", ("e0",))]
    assert check(tracks()[:0]) == []


def test_real_pedestrians_and_players_hold_no_noise(real_data):
    from understudy.data import read

    games = read("scenes", str(real_data / "nba_socialvae" / "score_train.npz"))[:200]
    assert [f for f in check(games) if f.level == "error"] == []
    walkers = read("frames", str(real_data / "eth_ucy_sgan_split" / "zara1"), rate=2.5, unit="m")
    assert [f for f in check(walkers) if f.name in ("noise", "teleports")] == []
