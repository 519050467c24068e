"""What every contract is put through: trained, stopped and resumed, and the same bit for bit."""

import json

import pytest

from contracts.harness import OPTIONS, Stopped, contents, stop_at
from understudy.experiment import folder
from understudy.experiment.train import resume, train


@pytest.fixture
def goes_on(tmp_path):
    """Train in one go, and stopped at a checkpoint and resumed; compare all files."""

    def check(algorithm, *, steps=8, stop=4, make_env=lambda: None, seeds=2, **given):
        whole = train(
            algorithm, env=make_env(), steps=steps, seeds=seeds, out=tmp_path / "whole",
            options=OPTIONS, **given,
        )  # fmt: skip
        with pytest.raises(Stopped):
            train(
                algorithm, env=make_env(), steps=steps, seeds=seeds, out=tmp_path / "cut",
                options=OPTIONS, progress=stop_at(stop), **given,
            )  # fmt: skip
        assert stop < whole.step, "nothing would be left to resume"
        resumed = resume(tmp_path / "cut", env=make_env(), **given)
        assert resumed.finished
        assert contents(tmp_path / "cut") == contents(tmp_path / "whole")
        for line in (tmp_path / "whole" / folder.METRICS).read_text().splitlines():
            values = json.loads(line)
            assert all(len(v) == seeds for n, v in values.items() if n not in ("stage", "step"))
        return whole

    return check
