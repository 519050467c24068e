"""Pictures of games are read back: who plays, where discs are, and what was earned."""

import dataclasses

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from PIL.GifImagePlugin import GifImageFile

from contracts.envs import Home, HomeSimulator
from understudy.envs.chance import Random
from understudy.envs.host import Batched
from understudy.envs.scenes import THING, Scene
from understudy.experiment.returns import episode_returns
from understudy.types import Step, UserError, hyperparameters
from understudy.visualise import style
from understudy.visualise.films import record
from understudy.visualise.panels import view_of
from understudy.visualise.rollouts import draw_films, frames, watch


class Inwards(eqx.Module):
    """Goes home."""

    decentralised: bool = eqx.field(static=True, default=True)
    transfers: bool = eqx.field(static=True, default=True)

    def memory(self, agents):
        return ()

    def act(self, observation, memory, key):
        return {"agents": jnp.clip(-observation.features["agents"], -1.0, 1.0)}, memory

    def log_prob(self, observations, actions, starts, memory):
        raise NotImplementedError


@hyperparameters
class Seen(Home):
    """`Home` that can be drawn: agents on a line, home as a thing, solved where all are there."""

    def step(self, state, action, key):
        state, step = super().step(state, action, key)
        home = jnp.all(jnp.abs(state[0]) < 0.01)
        over = dataclasses.replace(step, info={"success": home}, terminated=home)
        return state, over

    def scene(self, state):
        place = state[0]
        count = len(place)
        return Scene(
            jnp.stack([jnp.append(place, 0.0), jnp.zeros(count + 1)], -1),
            jnp.append(jnp.full(count, 0.2), 0.1),
            jnp.append(jnp.zeros(count, jnp.int32), jnp.int32(THING)),
            jnp.ones(count + 1),
            jnp.zeros((0, 2, 2)),
            jnp.asarray(2.0),
        )


@pytest.fixture(scope="module")
def film():
    return record(Seen(agents=1), Inwards(), "inwards", episodes=2, seed=3, steps=None)


def test_a_film_holds_the_episodes_that_are_evaluated(film):
    returns = episode_returns(Inwards(), Seen(agents=1), episodes=2, seed=3)["agents"]
    np.testing.assert_allclose(film.earned("agents")[:, -1], returns[:, 0], rtol=1e-6)
    assert film.earned("agents")[:, 0].tolist() == [0, 0]


def test_what_lies_past_the_end_repeats_it(film):
    """At most 2 away and 1 per step: home after at most two of five steps, and then it is over."""
    assert film.lengths.max() <= 2
    assert film.steps == film.lengths.max()
    for episode, length in enumerate(film.lengths):
        assert film.success is not None
        assert film.success[episode].tolist() == [i == length - 1 for i in range(film.steps)]
        assert (film.rewards["agents"][episode, length:] == 0).all()
        held = film.scenes.centres[episode, length:, 0, 0]
        np.testing.assert_allclose(held, 0, atol=0.01)


def test_a_gif_has_a_frame_per_step_and_one_for_the_start(film, tmp_path):
    path = watch(Seen(agents=1), Inwards(), tmp_path / "home.gif", seed=3, rate=5.0)
    with Image.open(path) as image:
        assert isinstance(image, GifImageFile)
        assert image.n_frames == film.steps + 1
        assert image.info["duration"] == 200


def test_discs_are_drawn_where_they_are(film):
    """The agent's blue moves from its place to the middle; the other things stay."""
    first, *_, last = frames([film])
    assert first.shape == last.shape
    blue = np.array([int(style.AGENTS[0][i : i + 2], 16) for i in (1, 3, 5)])
    view = view_of([film])
    half = first.shape[1] / 2
    for picture, row in ((first, 0), (last, -1)):
        x = np.nonzero((np.abs(picture.astype(int) - blue) < 12).all(-1))[1]
        for episode in range(2):
            place = film.scenes.centres[episode, row, 0, 0]
            share = (place - view[0][0]) / (view[1][0] - view[0][0])
            mine = x[(x >= episode * half) & (x < (episode + 1) * half)] - episode * half
            # a small disc, the home, may cover part of the agent's
            middle = (mine.min() + mine.max()) / 2
            assert middle == pytest.approx(share * half, abs=0.04 * half)


def test_the_heading_says_who_plays_and_what_was_earned(film):
    figure = draw_films([film])
    titles = [axis.get_title() or axis.get_title(loc="left") for axis in figure.axes]
    assert titles == ["inwards", "inwards"]
    earned = film.earned("agents")[:, -1]
    said = [axis.texts[0].get_text() for axis in figure.axes]
    assert said == [f"solved   return {value:.2f}" for value in earned]


def test_several_policies_are_rows_of_the_same_episodes(tmp_path):
    env = Seen(agents=1)
    sizes = []
    for players in ({"one": Inwards()}, {"one": Inwards(), "chance": Random(env.spec)}):
        with Image.open(watch(env, players, tmp_path / "p.png", episodes=1)) as image:
            sizes.append(image.size)
    (wide, high), (wide_two, high_two) = sizes
    assert wide == wide_two
    assert high_two > 1.7 * high
    one, other = [
        record(env, policy, "", episodes=1, seed=0, steps=None).features["agents"][:, 0]
        for policy in (Inwards(), Random(env.spec))
    ]
    np.testing.assert_array_equal(one, other)


def test_a_game_that_cannot_be_drawn_is_shown_as_strips(tmp_path):
    path = watch(Home(), Random(Home().spec), tmp_path / "home.gif", episodes=1)
    with Image.open(path) as image:
        assert isinstance(image, GifImageFile)
        assert image.n_frames == 6
        picture = np.asarray(image.convert("RGB"))
        image.seek(5)
        later = np.asarray(image.convert("RGB"))
    shown = [(p.astype(int).sum(-1) < 680).mean() for p in (picture, later)]
    assert shown[0] < 0.05  # nothing but the heading
    assert shown[1] > 0.2


class Lamp(HomeSimulator):
    """Renders how far everybody is."""

    def render(self):
        return np.full((20, 30, 3), min(255, int(100 * np.abs(self.place).mean())), np.uint8)


class Rendered(Batched):
    def __init__(self, envs):
        self.lamps = [Lamp() for _ in range(envs)]
        lamps = iter(self.lamps)
        super().__init__(lambda: next(lamps), envs=envs)

    def render(self):
        return np.stack([lamp.render() for lamp in self.lamps])


@pytest.mark.parametrize("games", [1, 2])
def test_a_host_env_that_renders_is_shown_by_that(games, tmp_path):
    env = Rendered(games)
    film = record(env, Inwards(), "inwards", episodes=2, seed=0, steps=None)
    assert film.pictures is not None
    assert film.pictures.shape == (2, 6, 20, 30, 3)
    level = film.pictures[:, :, 0, 0, 0]
    assert (level[:, 0] > 0).all()
    assert (level[:, -1] == 0).all()
    assert watch(env, Inwards(), tmp_path / "lamp.png").stat().st_size > 2000


def test_a_host_env_without_pictures_is_shown_as_strips(tmp_path):
    env = Batched(HomeSimulator, envs=2)
    assert watch(env, Inwards(), tmp_path / "home.png", episodes=3).stat().st_size > 2000


def test_another_ending_is_refused():
    with pytest.raises(UserError, match=r"\.gif, \.mp4, \.png"):
        watch(Home(), Inwards(), "home.webm")


@hyperparameters
class Crowd:
    """Eighty discs that wander for a hundred steps."""

    agents: int = 80

    @property
    def spec(self):
        return dataclasses.replace(Home(agents=self.agents).spec, horizon=100)

    def reset(self, key):
        turn = jnp.linspace(0, 6.28, self.agents)
        place = jnp.stack([jnp.cos(3 * turn), jnp.sin(2 * turn)], -1)
        return (place, jnp.zeros((), jnp.int32)), Home(agents=self.agents).observe(turn)

    def step(self, state, action, key):
        place, time = state[0], state[1] + 1
        angle = action["agents"][:, 0] * 3.14
        place = place + 0.05 * jnp.stack([jnp.cos(angle), jnp.sin(angle)], -1)
        seen = Home(agents=self.agents).observe(angle)
        reward = {"agents": jnp.ones(self.agents)}
        return (place, time), Step(seen, action, reward, jnp.asarray(False), time >= 100)

    def scene(self, state):
        count = self.agents
        return Scene(
            state[0], jnp.full(count, 0.05), jnp.arange(count) % 3, jnp.ones(count),
            jnp.zeros((0, 2, 2)), jnp.asarray(1.5),
        )  # fmt: skip


def test_eighty_agents_for_a_hundred_steps_are_a_small_file(tmp_path):
    path = watch(Crowd(), Random(Crowd().spec), tmp_path / "crowd.gif")
    assert path.stat().st_size < 3_000_000
