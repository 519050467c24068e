"""Spread: conformance of every variant, any number of agents, golden values."""

import pytest

from understudy.envs import conformance
from understudy.envs.spread import Spread

pytestmark = pytest.mark.usefixtures("compiled_quickly")

VARIANTS = {
    "mpe2": Spread(),
    "boxes": Spread(agents=2, landmarks=4, action="boxes"),
    "openai": Spread.openai(),
    "magail": Spread.magail(),
    "goodai": Spread.goodai(agents=5, ids=True),
}


@pytest.mark.parametrize("env", VARIANTS.values(), ids=VARIANTS)
def test_it_keeps_the_contract(env):
    conformance.check(env, steps=env.horizon if env.horizon == 25 else 6)
