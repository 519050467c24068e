"""understudy: learn how a team behaves by watching it.

The public face. Names are looked up on first use (PEP 562), so importing the package imports
neither JAX nor anything else that is slow.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    # data
    "Demonstrations": "understudy.data.demonstrations",
    "data": "understudy.data",
    # algorithms
    "RNNGauss": "understudy.algorithms.presets",
    "VRNN": "understudy.algorithms.presets",
    "VRAE": "understudy.algorithms.presets",
    "IntentVRNN": "understudy.algorithms.presets",
    "PPO": "understudy.algorithms.ppo",
    "IPPO": "understudy.algorithms.presets",
    "MAPPO": "understudy.algorithms.presets",
    "HAPPO": "understudy.algorithms.presets",
    "MAT": "understudy.algorithms.presets",
    "MATDec": "understudy.algorithms.presets",
    "DDPG": "understudy.algorithms.presets",
    "MADDPG": "understudy.algorithms.presets",
    "TD3": "understudy.algorithms.presets",
    "ATOC": "understudy.algorithms.presets",
    "BC": "understudy.algorithms.presets",
    "JointBC": "understudy.algorithms.presets",
    "GAIL": "understudy.algorithms.presets",
    "MAGAIL": "understudy.algorithms.presets",
    "MILD2": "understudy.algorithms.presets",
    "MILD2GD": "understudy.algorithms.presets",
    "WorldModel": "understudy.algorithms.world_model",
    "Planner": "understudy.algorithms.planning",
    "Population": "understudy.algorithms.population",
    "PlayTransformer": "understudy.algorithms.plays",
    "SegmentVAE": "understudy.algorithms.segments",
    "Adversarial": "understudy.algorithms.adversarial",
    "Stages": "understudy.algorithms.stages",
    "envs": "understudy.envs",
    "experts": "understudy.envs",
    # experiment
    "collect": "understudy.experiment.collect",
    "train": "understudy.experiment.train",
    "resume": "understudy.experiment.train",
    "TrainOptions": "understudy.experiment.train",
    "evaluate": "understudy.experiment.evaluate",
    "generate": "understudy.experiment.generate",
    "impute": "understudy.experiment.impute",
    "compare": "understudy.experiment.compare",
    "diagnose": "understudy.experiment.diagnose",
    "report": "understudy.experiment.report",
    "replayed": "understudy.experiment.replayed",
    "simulate": "understudy.experiment.simulate",
    "simulation_report": "understudy.experiment.simulation_page",
    "load_policy": "understudy.experiment.run",
    "load_generator": "understudy.experiment.run",
    "Run": "understudy.experiment.run",
    # pictures
    "animate": "understudy.visualise.animate",
    "watch": "understudy.visualise.rollouts",
    # contracts
    "ActionSpec": "understudy.types",
    "Group": "understudy.types",
    "Spec": "understudy.types",
    "UserError": "understudy.types",
}

__all__ = sorted(_PUBLIC)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'understudy' has no attribute {name!r}")
    module = import_module(_PUBLIC[name])
    return module if _PUBLIC[name] == f"understudy.{name}" else getattr(module, name)


def __dir__() -> list[str]:
    return __all__
