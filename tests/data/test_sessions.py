import numpy as np
import pytest

from understudy.data.sessions import link


def chains(state, following):
    rows = [np.asarray(side, np.float64)[:, None] for side in (state, following)]
    return [chain.tolist() for chain in link(*rows)]


def test_rows_are_linked_in_whatever_order_they_lie():
    # 1 -> 2 -> 3 -> 4 is rows 2, 0, 3; 7 -> 8 is row 1
    assert chains([2, 7, 1, 3], [3, 8, 2, 4]) == [[1], [2, 0, 3]]


def test_the_nearest_row_after_goes_on_where_several_could():
    # rows 1 and 3 begin in 5, as row 2 ends; row 0 ends there too
    assert chains([4, 5, 1, 5], [5, 6, 5, 9]) == [[0, 1], [2, 3]]


def test_a_row_before_goes_on_where_no_later_one_can():
    assert chains([5, 4], [6, 5]) == [[1, 0]]


@pytest.mark.parametrize(
    ("state", "following", "sizes"), [([1, 2, 3], [2, 3, 1], [3]), ([1, 1], [1, 1], [2])]
)
def test_a_chain_that_closes_on_itself_is_cut(state, following, sizes):
    assert [len(chain) for chain in chains(state, following)] == sizes


def test_minus_zero_is_zero():
    assert chains([1.0, 0.0], [-0.0, 2.0]) == [[0, 1]]


def test_every_row_is_in_one_session_and_goes_on_from_the_one_before():
    rng = np.random.default_rng(0)
    state, following = rng.integers(0, 40, (2, 300, 1)).astype(np.float64)
    found = link(state, following)
    assert sorted(np.concatenate(found)) == list(range(300))
    for chain in found:
        np.testing.assert_array_equal(following[chain[:-1]], state[chain[1:]])
    # the first rows of two chains could not have been joined
    ends = following[[chain[-1] for chain in found], 0]
    begins = state[[chain[0] for chain in found], 0]
    pairs = [(i, j) for i, e in enumerate(ends) for j, b in enumerate(begins) if e == b]
    assert all(i == j for i, j in pairs)
