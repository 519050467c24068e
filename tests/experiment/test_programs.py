"""A process does not hold more programs than the system has room for."""

import jax

from understudy.experiment import programs


def test_programs_are_forgotten_where_there_are_very_many():
    compiled = jax.jit(lambda x: x + 1)
    compiled(1)
    programs.forget_many()
    assert compiled._cache_size() == 1
    programs.forget_many(most=0)
    assert compiled._cache_size() == 0
    assert compiled(1) == 2
