"""Joint futures of a scene: attention between agents, noise in, plays out, learned by a score.

A `SceneModel` reads the rows of a window that are known and writes futures of all agents at once.
What tells futures apart, and what it learns from, is its head:

==========  ======================================  =============================================
``noise``   normal numbers, some of the scene and   energy scores of the whole scene, of each
            some of each agent                      agent, and of its moves; proper, one pass
``best``    the number of the future, one of K      the future that is nearest to what happened
``flow``    a path of noise, moved along a learned  squared error of where the path leads to
            field                                   (flow matching), `passes` passes
==========  ======================================  =============================================

A share of the training windows, `controls`, shows more or less than a past: whole futures of some
agents (held), last rows alone (destinations), pasts with holes, or all but a stretch. So the same
weights forecast, say what others would do, go where they are told, and fill in what is missing.

Source: energy scores, see `functional.energy`; best of many, Bhattacharyya, Schiele, Fritz, CVPR
2018 (arXiv 1806.07772); flow matching, Lipman et al., ICLR 2023 (arXiv 2210.02747), predicting
where paths lead to as Fu et al., "MoFlow", CVPR 2025 (arXiv 2503.09950).
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from understudy.data.demonstrations import Demonstrations
from understudy.data.positions import field
from understudy.functional.futures import differences, energies, nearest, sums
from understudy.networks import descent
from understudy.networks.scene import Read, SceneModel, SceneNetwork
from understudy.networks.scene_generator import SceneGenerator
from understudy.networks.scene_heads import BestHead, FlowHead, NoiseHead
from understudy.networks.scene_views import Scene, shown, turned
from understudy.networks.tokens import join
from understudy.types import (
    Batch,
    Metrics,
    Spec,
    Statistics,
    UserError,
    Window,
    hyperparameters,
    record,
    require,
)

HEADS = ("noise", "best", "flow")
TURNS = ("none", "flip", "rotate")
OF = ("scene", "agent")
Corner = tuple[float, float]


@record
class State:
    """All that training goes on from."""

    model: SceneModel
    optimiser: Any


@hyperparameters
class PlayTransformer:
    """Hyper-parameters of a generator of joint plays."""

    observed: int = 8
    """Rows of the past that are read."""
    horizon: int = 12
    """Rows that are written at once; longer futures are chained."""
    head: Literal["noise", "best", "flow"] = "noise"
    """What tells futures apart; see the head of this page."""
    network: SceneNetwork = dataclasses.field(default_factory=SceneNetwork)
    """How networks are built."""
    seen: tuple[str, ...] = ()
    """Groups that are read and never written: a ball, say, or obstacles."""
    placed: bool = True
    """It counts where on the field agents are; False for crowds and flocks, that are alike
    everywhere."""
    turn: Literal["none", "flip", "rotate"] = "none"
    """How training windows are turned: mirrored about the middle of the field, along either axis,
    or turned by any angle and mirrored."""
    bounds: tuple[Corner, Corner] | None = None
    """Low and high corner of the field; None: as the demonstrations say, or where agents were."""
    controls: float = 0.2
    """Share of training windows that show more or less than their past."""
    futures: int = 20
    """Futures written of every training window; K of ``best``."""
    scene: float = 1.0
    """Weight of the energy score of whole scenes."""
    agent: float = 1.0
    """Weight of those of each agent."""
    motion: float = 0.5
    """Weight of those of each agent's moves, and of their changes."""
    best: float = 0.0
    """Weight of the nearest future, of ``noise``: above 0 it is no proper score any more."""
    of: Literal["scene", "agent"] = "scene"
    """Nearest as a scene, or agent by agent, as the metrics that are usual count."""
    shared: int = 16
    """Normal numbers of a future, of ``noise``."""
    own: int = 8
    """Normal numbers of each of its agents."""
    passes: int = 10
    """Steps along the field, of ``flow``."""
    batch: int = 128
    """Windows per update."""
    learning_rate: float = 2e-3
    """Adam's step size, after a hundred updates."""
    decay: int = 0
    """Updates over which it falls to 0 along a line; 0 keeps it."""
    clip: float = 10.0
    """Largest global norm of a gradient."""

    title: ClassVar[str] = "play transformer"
    needs: ClassVar[frozenset[str]] = frozenset({"demonstrations"})
    presence: ClassVar[str] = "any"
    TINY: ClassVar[dict[str, Any]] = {
        "network": SceneNetwork(width=4, heads=2, reading=1), "observed": 3, "horizon": 3,
        "futures": 2, "shared": 1, "own": 1, "passes": 2, "batch": 2,
    }  # fmt: skip
    """Arguments of the smallest useful size, for tests."""

    def __post_init__(self) -> None:
        for name in ("observed", "horizon", "batch", "passes", "shared"):
            value = getattr(self, name)
            require(value > 0, f"expected {name} above 0, found {value}")
        require(self.futures > 1, f"expected at least 2 futures, found {self.futures}")
        for name, known in (("head", HEADS), ("turn", TURNS), ("of", OF)):
            value = getattr(self, name)
            require(value in known, f"expected {name} among {known}, found {value!r}")

    @property
    def window(self) -> int:
        """Rows of a training window."""
        return self.observed + self.horizon

    def resolve(self, demonstrations: Demonstrations) -> PlayTransformer:
        """Fill in the corners of the field, where the demonstrations say."""
        known = field(demonstrations)
        if self.bounds is not None or known is None:
            return self
        low, high = known
        return dataclasses.replace(self, bounds=(tuple(low.tolist()), tuple(high.tolist())))

    def init(self, spec: Spec, statistics: Statistics | None, key: Key[Array, ""]) -> State:
        """Fresh weights.

        Raises:
            UserError: without statistics, or for groups that have other features than positions.
        """
        if statistics is None:
            raise UserError("expected statistics of the training split, found none; give data")
        unknown = [name for name in self.seen if name not in spec.names]
        require(
            not unknown and len(self.seen) < len(spec.names),
            f"expected some of the groups {list(spec.names)} to be only seen, found "
            f"{list(self.seen)}; leave at least one to write",
        )
        network, rows = self.network, self.window
        head = {
            "noise": lambda: NoiseHead(
                network.width, rows, shared=self.shared, own=self.own, ways=network.ways
            ),
            "best": lambda: BestHead(network.width, rows, futures=self.futures),
            "flow": lambda: FlowHead(
                network.width, rows, heads=network.heads, writing=network.writing,
                passes=self.passes,
            ),
        }[self.head]()  # fmt: skip
        model = SceneModel.of(
            spec, statistics, network, rows=rows, now=self.observed - 1,
            placed=self.placed, head=head, bounds=self.bounds,
        )  # fmt: skip
        model = model.drawn(key)
        return State(model, descent.start(model))

    def update(
        self, state: State, batch: Batch, step: Int[Array, ""], key: Key[Array, ""]
    ) -> tuple[State, Metrics]:
        """One step of Adam on one batch of windows."""
        assert batch.demonstrations is not None
        turn, show, draw = jax.random.split(key, 3)
        scene = self.scenes(state.model, batch.demonstrations, turn, show)
        (_, metrics), gradient = jax.value_and_grad(self.loss, has_aux=True)(
            state.model, scene, draw
        )
        warm = jnp.minimum(1.0, (step.astype(jnp.float32) + 1.0) / 100.0)
        rate = warm * descent.linear(self.learning_rate, step, decay=self.decay)
        model, optimiser, norm = descent.descend(
            state.model, gradient, state.optimiser, rate=rate, clip=self.clip
        )
        return State(model.scaled_as(state.model), optimiser), {**metrics, "gradient_norm": norm}

    def scenes(self, model: SceneModel, window: Window, turn: Any, show: Any) -> Scene:
        """Windows, turned, and what is shown of them."""
        names = model.spec.names
        positions = join(model.spec, window.observation.features)
        alive = join(model.spec, window.observation.alive)
        positions = turned(positions, turn, how=self.turn, middle=model.middle)
        counts = [window.observation.alive[n].shape[-1] for n in names]
        written = np.repeat([n not in self.seen for n in names], counts)
        written = jnp.broadcast_to(written, alive.shape)
        known = shown(alive, written, show, now=model.now, share=self.controls)
        wanted = alive & ~known & known.any(1, keepdims=True) & written
        return Scene(positions, known, wanted)

    def loss(
        self, model: SceneModel, scene: Scene, key: Key[Array, ""]
    ) -> tuple[Float[Array, ""], Metrics]:
        """What is lowered, mean over the windows, in usual moves."""
        counts = {g.name: g.agents for g in model.spec.groups}
        read = model.read(scene.positions, scene.known, model.of_group(counts))
        if self.head == "flow":
            return self._flow(model, read, scene, key)
        futures = model.futures(read, key, self.futures)
        total, metrics = jnp.zeros(()), {}
        if self.head == "noise":
            parts = energies(futures, scene.truth, scene.weight, scene.moved, scene.changed)
            metrics = {name: x / model.step for name, x in parts.items()}
            total = sum((getattr(self, n) * x for n, x in metrics.items()), jnp.zeros(()))
        near = self.best if self.head == "noise" else 1.0
        if isinstance(near, jax.Array) or near != 0:
            metrics["nearest"] = nearest(futures, scene.truth, scene.weight, self.of) / model.step
            total = total + near * metrics["nearest"]
        return total, {**metrics, "loss": total}

    def _flow(
        self, model: SceneModel, read: Read, scene: Scene, key: Key[Array, ""]
    ) -> tuple[Float[Array, ""], Metrics]:
        """How far off the ends of paths are, as moves and as positions."""
        head, draw = model.head, jax.random.split(key)
        truth, weight = scene.truth @ differences(self.window), scene.moved
        end = jnp.where(weight > 0, (truth - read.going) / model.step, 0.0)[:, :, None]
        along = jax.random.uniform(draw[0], (end.shape[0], self.futures))
        share = along[:, None, :, None]
        noise = head.noise(draw[1], (*end.shape[:2], self.futures, end.shape[-1]))
        found = head.end(read, share * end + (1.0 - share) * noise, along)
        missed = (found - end) * weight[:, :, None]
        summed = missed @ sums(self.window)
        count = jnp.maximum(weight.sum() * self.futures, 1.0)
        moves = jnp.square(missed).sum() / count
        places = (jnp.square(summed) * weight[:, :, None]).sum() / count / self.horizon
        return moves + places, {"moves": moves, "places": places, "loss": moves + places}

    def generator(self, state: State) -> SceneGenerator:
        """What samples futures."""
        return SceneGenerator(state.model, self.seen)
