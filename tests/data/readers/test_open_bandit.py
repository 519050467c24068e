import numpy as np
import pytest
from tracking_files import IMPRESSION, impressions, open_bandit

from understudy.data import quality, store
from understudy.data.readers import guess, read
from understudy.data.sampling import gather, rows, windows
from understudy.types import UserError

DAY = 86_400


@pytest.fixture
def folder(tmp_path):
    """Two policies of one campaign; of the second one impression, by a user of another level."""
    open_bandit(tmp_path / "obd" / "random" / "men" / "men.csv")
    other = {**IMPRESSION, "user_feature_0": "ab", "propensity_score": 0.9}
    open_bandit(tmp_path / "obd" / "bts" / "men" / "men.csv.gz", [other])
    for policy in ("random", "bts"):
        path = tmp_path / "obd" / policy / "men" / "item_context.csv"
        path.write_text(",item_id,item_feature_0\n0,0,-0.67\n")
    return tmp_path / "obd"


def test_an_impression_is_an_episode_of_platform_and_user_in_turn(folder):
    said = []
    d = read("open_bandit", folder / "random", say=said.append)
    assert said == ["men.csv: 4 impressions of 3 items, policy 'random'"]
    platform, user = d.spec.groups
    assert (platform.name, user.name, user.sees) == ("platform", "user", ("platform",))
    assert platform.action is not None
    assert user.action is not None
    assert (platform.action.sections, user.action.sections) == ((3,), (2,))
    assert d.label("episode").tolist() == ["men 1", "men 0", "men 2", "men 3"]  # by time
    assert d.lengths.tolist() == [2, 2, 2, 2]
    assert d.actions is not None
    assert d.rewards is not None
    assert d.terminated is not None
    assert d.actions["platform"][::2, 0, 0].tolist() == [0, 2, 1, 2]
    assert d.actions["user"][::2, 0, 0].tolist() == [1, 0, 0, 0]
    for name in d.spec.names:
        assert d.rewards[name][:, 0].tolist() == [1, 0, 0, 0, 0, 0, 0, 0]
        assert d.known_actions()[name][:, 0].tolist() == 4 * [True, False]
        assert not d.features[name][1::2].any()
    assert d.terminated.tolist() == 4 * [True, False]


def test_what_both_observe(folder):
    d = read("open_bandit", folder / "random")
    platform, user = d.spec.groups
    assert platform.features == (
        "user_feature_0=aa", "user_feature_0=bb", "user_feature_1=b0", "user_feature_2=c0",
        "user_feature_3=d0", "position=1", "position=2", "position=3", "time",
    )  # fmt: skip
    assert user.features == (
        *platform.features, "affinity", "affinity 0", "affinity 1", "affinity 2"
    )  # fmt: skip
    seen = d.features["user"][::2, 0]
    np.testing.assert_array_equal(d.features["platform"][::2, 0], seen[:, :9])
    np.testing.assert_array_equal(seen[:, :8], [
        [0, 1, 1, 1, 1, 0, 0, 1], [1, 0, 1, 1, 1, 0, 0, 1],
        [1, 0, 1, 1, 1, 1, 0, 0], [1, 0, 1, 1, 1, 0, 1, 0],
    ])  # fmt: skip
    np.testing.assert_allclose(seen[:, 8], [193.442536 / DAY, 0.25 + 0.5 / DAY, 0.5, 0.75])
    np.testing.assert_allclose(seen[0, 9:], [np.log(4), np.log(2), 0, np.log(3)], rtol=1e-6)
    assert not seen[1:, 9:].any()


def test_logs_of_a_campaign_share_levels_and_keep_policy_day_and_propensity(folder, tmp_path):
    d = read("open_bandit", [folder / "random", folder / "bts"])
    assert d.spec["platform"].features[:3] == (
        "user_feature_0=aa", "user_feature_0=ab", "user_feature_0=bb",
    )  # fmt: skip
    assert d.label("policy").tolist() == [*4 * ["random"], "bts"]
    assert d.label("source").tolist() == [*4 * ["random/men/men.csv"], "bts/men/men.csv.gz"]
    assert set(d.label("campaign")) == {"men"}
    store.save(d, tmp_path / "set")
    d = store.load(tmp_path / "set")
    assert d.context["propensity"].tolist() == [0.25, 0.25, 0.25, 0.25, 0.9]
    assert d.by(policy="bts").context["propensity"].tolist() == [0.9]
    assert d.context["time"][0] == 1574553600 + 193.442536
    splits = d.split("day", (0.5, 0.0, 0.5))
    assert {frozenset(part.label("day").tolist()) for part in (splits.train, splits.test)} == {
        frozenset({"2019-11-24"}), frozenset({"2019-11-25"})
    }  # fmt: skip
    assert quality.check(d.by(policy="random"), splits) == []


def test_only_acted_rows_count(folder):
    d = read("open_bandit", folder / "random")
    window = gather(rows(d), windows(d, 1, agents="every"), np.arange(d.frames))
    assert np.asarray(window.action_known["user"]).ravel().tolist() == 4 * [True, False]
    assert np.asarray(window.observation.alive["user"]).ravel().tolist() == 4 * [True, False]


def test_the_reader_is_guessed(folder):
    assert guess(folder) == "open_bandit"
    assert guess(folder / "random" / "men" / "men.csv") == "open_bandit"


def test_a_log_outside_its_folders_has_no_policy(tmp_path):
    said = []
    d = read("open_bandit", open_bandit(tmp_path / "log.csv"), say=said.append)
    assert said == ["log.csv: 4 impressions of 3 items, policy not known"]
    assert set(d.label("policy")) == {""}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"item_id": 3}, r"whole number from 0 to 2 in row 4 of column 'item_id' .*, found 3\.0"),
        ({"item_id": 0.5}, "whole number from 0 to 2 in row 4"),
        ({"position": 0}, "from 1 to 3 in row 4 of column 'position'"),
        ({"position": 4}, "from 1 to 3 in row 4 of column 'position'"),
        ({"click": 2}, "from 0 to 1 in row 4 of column 'click'"),
        ({"click": "nan"}, "from 0 to 1 in row 4 of column 'click' .*, found nan"),
        ({"propensity_score": 0}, "probability above 0 in row 4 of column 'propensity_score'"),
        ({"propensity_score": 1.5}, "probability above 0 in row 4"),
        ({"propensity_score": ""}, "an Open Bandit log in .*In CSV column"),
        ({"affinity": (0, -1, 0)}, "at least 0 in row 4 of column 'user-item_affinity_1'"),
        ({"affinity": (0, "inf", 0)}, "at least 0 in row 4 of column 'user-item_affinity_1'"),
        ({"user_feature_2": " "}, "a level in row 4 of column 'user_feature_2'"),
        ({"timestamp": "yesterday"}, "times such as 2019-11-24 .*, found"),
        ({"timestamp": "2019-11-25 18:00:00"}, "times such as 2019-11-24 .*, found"),
    ],
)
def test_what_is_wrong_is_said_with_row_and_column(tmp_path, change, message):
    *first, last = impressions()
    path = open_bandit(tmp_path / "log.csv", [*first, {**last, **change}])
    with pytest.raises(UserError, match=message):
        read("open_bandit", path)


def test_other_files_are_refused(folder, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("frame,agent,x,y\n0,a,1,2\n")
    with pytest.raises(UserError, match=r"none called user-item_affinity_0|none called timestamp"):
        read("open_bandit", path)
    with pytest.raises(UserError, match="found what its items are; name the log"):
        read("open_bandit", folder / "bts" / "men" / "item_context.csv")
    wide = open_bandit(
        folder / "bts" / "all" / "all.csv", [{**IMPRESSION, "affinity": (0, 0, 0, 0)}]
    )
    with pytest.raises(UserError, match=r"expected the 4 items of .*found 3 in .*; read each"):
        read("open_bandit", [wide, folder / "random"])


def test_ids_are_not_features(tmp_path):
    many = [{**IMPRESSION, "user_feature_1": f"user {i}"} for i in range(1001)]
    with pytest.raises(UserError, match=r"at most 1,000 levels of 'user_feature_1' .*1,001"):
        read("open_bandit", open_bandit(tmp_path / "log.csv", many))
