import os
import pickle
import subprocess

import numpy as np
import pytest

from understudy.data.readers import read, unpickle
from understudy.types import UserError


class Malicious:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_that_runs_a_command_is_refused(tmp_path, protocol):
    witness = tmp_path / "witness"
    for call in (
        Malicious(os.system, f"touch {witness}"),
        Malicious(subprocess.check_call, ["touch", str(witness)]),
        Malicious(eval, f"open({str(witness)!r}, 'w')"),
        Malicious(getattr, "text", "upper"),
    ):
        path = tmp_path / "bad.pkl"
        path.write_bytes(pickle.dumps({"xy_ft": call}, protocol=protocol))
        with pytest.raises(UserError, match="which is never run"):
            read("scenes", path, rate=1)
        assert not witness.exists()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_of_every_protocol_and_layout_survive(tmp_path, protocol):
    arrays = {
        "a": np.arange(12, dtype=">f4").reshape(3, 4),
        "b": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "c": np.array(["ja", "nein"]),
        "d": np.array([True, False]),
    }
    path = tmp_path / "good.pkl"
    path.write_bytes(pickle.dumps({**arrays, "e": [1, 2], "f": np.float64(2.5)}, protocol))
    found = unpickle.arrays(path)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
    assert found["e"].tolist() == [1, 2]
    assert found["f"] == 2.5


def test_arrays_of_objects_are_refused(tmp_path):
    path = tmp_path / "objects.pkl"
    path.write_bytes(pickle.dumps({"xy_ft": np.array([{"a": 1}], dtype=object)}))
    with pytest.raises(UserError, match="found Python objects"):
        unpickle.arrays(path)
