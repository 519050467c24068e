import sys

import numpy as np
import pytest
from tracking_files import metrica

from understudy.data.readers import read
from understudy.types import UserError

pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]  # kloppy leaves files open


def load(folder):
    from kloppy import metrica as vendor

    home, away = metrica(folder)
    return vendor.load_tracking_csv(home_data=str(home), away_data=str(away))


def test_a_dataset_kloppy_loaded(tmp_path):
    dataset = load(tmp_path)
    d = read("kloppy", dataset)
    assert (d.rate, d.unit, d.starts.tolist()) == (25.0, "m", [0, 8])
    assert [(g.name, g.agents) for g in d.spec.groups] == [("player", 6), ("ball", 1)]
    assert d.agent_labels["team"]["player"][0].tolist() == ["home"] * 3 + ["visitor"] * 3
    alive = d.alive["player"]
    assert alive[:, :5].all()
    assert alive[:, 5].tolist() == [False] * 3 + [True] * 5
    ball = dataset.records[0].ball_coordinates
    np.testing.assert_allclose(d.features["ball"][0, 0], [ball.x * 105, ball.y * 68], rtol=1e-6)
    np.testing.assert_allclose(d.features["player"][7, 1], [0.208 * 105, 0.5 * 68], rtol=1e-6)


def test_anything_else_is_refused(tmp_path):
    with pytest.raises(UserError, match="load the file with kloppy first"):
        read("kloppy", str(tmp_path))
    with pytest.raises(UserError, match="found an empty list"):
        read("kloppy", [])


def test_without_the_package_it_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "kloppy.domain", None)
    with pytest.raises(UserError, match=r"pip install 'understudy\[kloppy\]'"):
        read("kloppy", object())
