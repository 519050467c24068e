"""Algorithms, one page each; `presets` puts them together under the names people know."""

ALGORITHMS = {
    "rnn-gauss": "understudy.algorithms.presets:RNNGauss",
    "vrnn": "understudy.algorithms.presets:VRNN",
    "vrae": "understudy.algorithms.presets:VRAE",
    "intent-vrnn": "understudy.algorithms.presets:IntentVRNN",
    "ippo": "understudy.algorithms.presets:IPPO",
    "mappo": "understudy.algorithms.presets:MAPPO",
    "happo": "understudy.algorithms.presets:HAPPO",
    "mat": "understudy.algorithms.presets:MAT",
    "mat-dec": "understudy.algorithms.presets:MATDec",
    "ddpg": "understudy.algorithms.presets:DDPG",
    "maddpg": "understudy.algorithms.presets:MADDPG",
    "td3": "understudy.algorithms.presets:TD3",
    "atoc": "understudy.algorithms.presets:ATOC",
    "bc": "understudy.algorithms.presets:BC",
    "joint-bc": "understudy.algorithms.presets:JointBC",
    "world-model": "understudy.algorithms.world_model:WorldModel",
    "segment-vae": "understudy.algorithms.segments:SegmentVAE",
    "play-transformer": "understudy.algorithms.plays:PlayTransformer",
    "population": "understudy.algorithms.population:Population",
    "gail": "understudy.algorithms.presets:GAIL",
    "magail": "understudy.algorithms.presets:MAGAIL",
    "mild2": "understudy.algorithms.presets:MILD2",
    "mild2-gd": "understudy.algorithms.presets:MILD2GD",
}
"""Name on the command line -> what makes the algorithm."""
