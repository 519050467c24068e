import numpy as np
import pytest

from understudy.data.actions import encode_actions
from understudy.types import ActionSpec, UserError

BUTTON = ActionSpec(sections=(3,))
MIXED = ActionSpec(sections=(2, 3), low=(-1.0,), high=(1.0,))


def test_integers_and_one_hot_rows_become_the_same_float_rows():
    integers = np.asarray([[0, 2], [1, 1]])
    expected = integers[..., None].astype(np.float32)
    for form in (
        integers,
        integers[..., None],
        np.eye(3)[integers],
        np.eye(3, dtype=bool)[integers],
    ):
        found = encode_actions(BUTTON, form)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, expected)


def test_sections_come_first_then_the_continuous_values():
    rows = np.asarray([[[1, 2, 0.5]], [[0, 0, -1.0]]])
    hot = np.asarray([[[0, 1, 0, 0, 1, 0.5]], [[1, 0, 1, 0, 0, -1.0]]])
    np.testing.assert_array_equal(encode_actions(MIXED, rows), rows.astype(np.float32))
    np.testing.assert_array_equal(encode_actions(MIXED, hot), rows.astype(np.float32))


def test_what_was_not_recorded_is_neither_read_nor_kept():
    actions = np.asarray([[1.0, np.nan], [99.0, 2.0]])
    known = np.asarray([[True, False], [False, True]])
    found = encode_actions(BUTTON, actions, known=known)
    assert found[..., 0].tolist() == [[1, 0], [0, 2]]


@pytest.mark.parametrize(
    ("spec", "actions", "words"),
    [
        (BUTTON, [[0, 0], [0, 0], [3, 0]], "an integer from 0 to 2 in section 0 .* found 3"),
        (BUTTON, [[0, 0], [0, 0], [-1, 0]], "found -1"),
        (BUTTON, [[0, 0], [0, 0], [0.5, 0]], "found 0.5"),
        (BUTTON, [[0, 0], [0, 0], [np.nan, 0]], "found nan"),
        (MIXED, [[[0, 0, 0]] * 2] * 2 + [[[0, 0, 1.5], [0, 0, 0]]], "from -1 to 1 .* found 1.5"),
        (
            BUTTON,
            [[[1, 0, 0]] * 2] * 2 + [[[1, 1, 0], [1, 0, 0]]],
            "exactly one 1 in one-hot section 0",
        ),
    ],
)
def test_an_illegal_action_names_episode_row_and_agent(spec, actions, words):
    place = {"starts": np.asarray([0, 2, 3]), "episodes": ["first", "second"]}
    with pytest.raises(UserError, match=words) as error:
        encode_actions(spec, np.asarray(actions), **place)
    assert "agent 0 in row 0 of episode 'second'" in str(error.value)


def test_a_choice_has_to_be_legal():
    legal = np.asarray([[[True, True, False]]])
    np.testing.assert_array_equal(encode_actions(BUTTON, np.asarray([[1]]), legal=legal), [[[1]]])
    with pytest.raises(UserError, match=r"a legal choice in section 0 .* found 2"):
        encode_actions(BUTTON, np.asarray([[2]]), legal=legal)


def test_other_shapes_are_refused():
    with pytest.raises(UserError, match="of 1 columns, or 3 with one-hot sections"):
        encode_actions(BUTTON, np.zeros((4, 2, 2)))
