"""The real files, where they are at hand: counts and constant velocity as published."""

import numpy as np
import pytest

from understudy.data.readers import guess, read
from understudy.data.sampling import windows
from understudy.types import UserError

# windows and pedestrian-windows with at least two pedestrians, then with at least one; ADE and FDE
# of constant velocity over the first: the figures of the Social-GAN split of ETH/UCY.
ETH_UCY = {
    "eth": ((70, 181), (253, 364), (0.995, 2.234)),
    "hotel": ((301, 1053), (445, 1197), (0.323, 0.617)),
    "univ": ((947, 24334), (947, 24334), (0.524, 1.165)),
    "zara1": ((602, 2253), (705, 2356), (0.431, 0.960)),
    "zara2": ((921, 5833), (998, 5910), (0.326, 0.728)),
}


def constant_velocity(d, group, found):
    """ADE and FDE of the last of 8 steps repeated 12 times, over agents in the whole window."""
    rows = np.asarray(found.start)[:, None, None] + np.arange(20)[:, None]
    x = d.features[group][rows, np.asarray(found.slots[group])[:, None]].astype(np.float64)
    steps = np.arange(1, 13)[:, None, None]
    off = np.linalg.norm(x[:, 7:8] + steps * (x[:, 7:8] - x[:, 6:7]) - x[:, 8:], axis=-1)
    off = off.transpose(0, 2, 1)[np.asarray(found.present[group])]
    return off.mean(), off[:, -1].mean()


@pytest.fixture(scope="module")
def scenes(real_data):
    """Both archives of basketball scenes."""
    folder = real_data / "nba_socialvae"
    return {name: read("scenes", folder / f"{name}_train.npz") for name in ("score", "rebound")}


@pytest.mark.parametrize("fold", ETH_UCY)
def test_eth_ucy_windows_and_constant_velocity(real_data, fold):
    d = read("frames", real_data / "eth_ucy_sgan_split" / fold / "test", rate=2.5, unit="m")
    two, one, errors = ETH_UCY[fold]
    for least, expected in ((2, two), (1, one)):
        found = windows(d, 20, agents="throughout", least=least)
        assert (len(found.start), int(found.present["agents"].sum())) == expected
        if least == 2:
            np.testing.assert_allclose(constant_velocity(d, "agents", found), errors, atol=5e-4)


@pytest.mark.parametrize(
    ("fold", "rows"), {"eth": (56842, 12094, 5492), "univ": (26514, 8148, 39766)}.items()
)
def test_eth_ucy_rows(real_data, fold, rows):
    for part, expected in zip(("train", "val", "test"), rows, strict=True):
        d = read("frames", real_data / "eth_ucy_sgan_split" / fold / part, rate=2.5, unit="m")
        assert d.alive["agents"].sum() == expected


@pytest.mark.parametrize(
    ("name", "episodes", "frames", "games", "errors"),
    [
        # errors from benchmarks/independent_constant_velocity.py
        ("score", 2676, 263_622, 435, (2.077, 4.827)),
        ("rebound", 3379, 82_743, 518, (2.174, 5.152)),
    ],
)
def test_basketball_scenes(scenes, name, episodes, frames, games, errors):
    d = scenes[name]
    assert (d.episodes, d.frames, len(set(d.label("game")))) == (episodes, frames, games)
    assert (d.rate, d.unit, d.spec.names) == (25 / 3, "ft", ("player", "ball"))
    if name == "rebound":
        found = windows(d, 20)
        np.testing.assert_allclose(constant_velocity(d, "player", found), errors, atol=5e-4)


def test_basketball_text_holds_the_same_rows_as_the_archive(real_data, scenes):
    text = read("frames", real_data / "nba_socialvae" / "raw_txt_samples.tar.gz")
    assert text.episodes == 80
    compared = 0
    for episode, title in enumerate(text.labels["episode"].tolist()):
        kind, name = title.split("/")
        where = np.flatnonzero(scenes[kind].labels["episode"] == name)
        for other in where.tolist():
            for group in ("player", "ball"):
                np.testing.assert_allclose(
                    text.features[group][text.rows(episode)],
                    scenes[kind].features[group][scenes[kind].rows(other)],
                )
                ids = text.agent_labels["id"][group][episode].tolist()
                assert ids == scenes[kind].agent_labels["id"][group][other].tolist()
            compared += 1
    assert compared == 80


def test_other_basketball_archives(real_data):
    folder = real_data / "nba_cle_starters_5hz"
    d = read("scenes", folder / "val_4games.npz")
    assert (d.episodes, d.frames, d.rate) == (119, 10_602, 5.0)
    bits = real_data / "nba_sportvu_25hz_bits"
    d = read("scenes", bits / "tor_vs_cha_second_half_5starters.npz", rate=25)
    assert (d.episodes, d.frames) == (43, 21_467)
    assert 0.999 < d.alive["player"].mean() < 1


def test_sportvu_games(real_data):
    folder = real_data / "nba_sportvu_raw_schema"
    d = read("sportvu", folder / "0021500061_one_event_25hz.json")
    assert (d.episodes, d.frames, d.rate) == (1, 150, 25.0)
    d = read("sportvu", folder / "0021500400_2hz_events_first70pct.json.gz")
    assert (d.episodes, d.frames, d.rate) == (8, 953, 1.92)
    for name in ("0021500659.json.gz", "01.23.2016.CHI.at.CLE.7z"):
        with pytest.raises(UserError, match="466 events and no usable moments"):
            read("sportvu", folder / name)


def test_tables(real_data):
    folder = real_data / "nfl_ngs_10hz"
    d = read("table", sorted(folder.glob("raw_*.tsv.gz")))
    assert (d.episodes, d.spec["player"].agents, d.unit) == (2, 22, "yd")
    d = read("table", real_data / "crowd_gc_ucy" / "trajectories.parquet")
    assert (d.episodes, int(d.alive["agents"].sum())) == (13, 278_959)
    assert d.context["goals"].shape == (13, 256, 2)
    d = read("table", real_data / "sdd_annotations" / "annotations.parquet")
    assert len(set(d.label("game"))) == 6
    assert set(d.agent_labels["kind"]["agents"].ravel()) >= {"Pedestrian", "Biker"}
    goal = real_data / "soccer_tracking_samples" / "lastrow_LIV_2-1_CHE.csv.gz"
    d = read("table", goal, columns={"agent": "player", "team": "team"}, rate=20)
    assert (d.frames, d.spec["agents"].agents) == (195, 21)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_vendor_formats_through_kloppy(real_data):
    from kloppy import metrica, skillcorner, sportec, tracab

    folder = real_data / "soccer_tracking_samples" / "vendor_formats"

    def at(name):
        return str(folder / name)

    datasets = {
        6: metrica.load_tracking_csv(at("metrica_home.csv"), at("metrica_away.csv")),
        100: metrica.load_tracking_epts(
            meta_data=at("epts_metrica_metadata.xml"), raw_data=at("epts_metrica_tracking.txt")
        ),
        7: tracab.load(meta_data=at("tracab_meta.xml"), raw_data=at("tracab_raw.dat")),
        202: sportec.load_tracking(
            meta_data=at("sportec_meta.xml"), raw_data=at("sportec_positional.xml")
        ),
    }
    for frames, dataset in datasets.items():
        d = read("kloppy", dataset)
        assert (d.frames, d.unit, d.rate) == (frames, "m", 25.0)
        assert set(d.agent_labels["team"]["player"].ravel()) <= {"home", "visitor", ""}
    dataset = skillcorner.load(
        meta_data=at("skillcorner_meta_data.json"), raw_data=at("skillcorner_v3_raw_data.jsonl")
    )
    assert read("kloppy", dataset).rate == 10.0


@pytest.mark.parametrize(
    ("path", "reader"),
    {
        "eth_ucy_sgan_split/eth/test": "frames",
        "nba_socialvae/score_train.npz": "scenes",
        "nba_socialvae/raw_txt_samples.tar.gz": "frames",
        "nba_sportvu_raw_schema/01.23.2016.CHI.at.CLE.7z": "sportvu",
        "nba_sportvu_raw_schema/0021500061_one_event_25hz.json": "sportvu",
        "nfl_ngs_10hz/plays.parquet": "table",
        "sdd_annotations/raw_hyang_video7_annotations.txt.gz": "table",
    }.items(),
)
def test_the_reader_is_guessed(real_data, path, reader):
    assert guess(real_data / path) == reader
