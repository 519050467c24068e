"""Strictness for every test: dtypes, ranks, warnings, shapes checked at run time."""

import os
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("MPLBACKEND", "Agg")
# tests wait for the compiler rather than for the program
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
os.environ["XLA_FLAGS"] = (
    "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1 "
    + os.environ.get("XLA_FLAGS", "")
)

import jax
import pytest
from jaxtyping import install_import_hook

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

install_import_hook("understudy", "beartype.beartype")


@pytest.fixture(autouse=True, scope="module")
def few_programs():
    """Forget programs compiled so far where there are very many, as training does."""
    from understudy.experiment import programs

    yield
    programs.forget_many()


@pytest.fixture
def key():
    return jax.random.key(0)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real tracking data, or a skip where there is none."""
    folder = os.environ.get("UNDERSTUDY_DATA")
    if not folder:
        pytest.skip("UNDERSTUDY_DATA is not set")
    return Path(folder)
