"""The published configuration of a joint policy: its file is read, and means what it meant."""

import dataclasses
import math

import jax
import pytest

from simulated_logs import log
from understudy.data import schema as schemas
from understudy.experiment import webeye, webeye_file, webeye_words
from understudy.types import UserError

NEWER = """\
general:
  seed: 2020
  expert_batch_size: 2000
  expert_data_path: ../data/log.csv
  training_epochs: 100000
  num_states: 155
  num_actions: 6
gae: {gamma: 0.995, tau: 0.96}
ppo:
  clip_ratio: 0.1
  ppo_optim_epochs: 1
  ppo_mini_batch_size: 200
  sample_batch_size: 2000
jointpolicy:
  learning_rate: !!float 1e-4
  trajectory_length: 10
  agent: &half
    num_states: 155
    num_actions: 6
    num_discrete_actions: 0
    discrete_actions_sections: !!python/tuple [0]
    action_log_std: 0.0
    use_multivariate_distribution: False
    num_hiddens: !!python/tuple [256]
    activation: LeakyReLU
    drop_rate: 0.5
  env:
    <<: *half
    num_states: 161
    num_actions: 155
    num_discrete_actions: 132
    discrete_actions_sections: !!python/tuple [5, 2, 4, 3, 2, 9, 2, 32, 35, 7, 2, 21, 2, 3, 3]
value:
  num_states: 155
  num_hiddens: !!python/tuple [256, 256]
  activation: LeakyReLU
  drop_rate: 0.5
  learning_rate: !!float 3e-4
  l2_reg: !!float 1e-3
discriminator:
  num_states: 155
  num_actions: 6
  num_hiddens: !!python/tuple [256, 256]
  activation: LeakyReLU
  drop_rate: 0.5
  learning_rate: !!float 4e-4
  use_noise: True # trick
  noise_std: 0.15
  use_label_smoothing: True
  label_smooth_rate: 0.1"""

OLDER = """\
general:
  seed: 2020
  expert_batch_size: 2000
  training_epochs: 1000000
gae:
  gamma: 0.995
  tau: 0.96
ppo:
  clip_ratio: 0.1
  ppo_optim_epochs: 1
  ppo_mini_batch_size: 128
  sample_batch_size: 5000
policy:
  learning_rate: !!float 3e-4
  trajectory_length: 10
  num_states: 155
  num_actions: 6
  user: &half
    num_states: 155
    num_actions: 6
    num_discrete_actions: 0
    discrete_actions_sections: !!python/tuple [0]
    action_log_std: 0.0
    num_hiddens: !!python/tuple [256, 256]
    activation: nn.LeaklyReLU
    drop_rate: 0.5
  env:
    <<: *half
    num_states: 161
    num_actions: 155
    num_discrete_actions: 132
    discrete_actions_sections: !!python/tuple [5, 2, 4, 3, 2, 9, 2, 32, 35, 7, 2, 21, 2, 3, 3]
value:
  num_states: 155
  num_hiddens: !!python/tuple [256, 256]
  activation: nn.LeaklyReLU
  drop_rate: 0.5
  learning_rate: !!float 3e-3
  l2_reg: !!float 1e-3
discriminator:
  num_states: 155
  num_actions: 6
  num_hiddens: !!python/tuple [256, 256]
  activation: nn.LeaklyReLU
  drop_rate: 0.5
  learning_rate: !!float 1e-4
"""


@pytest.fixture
def read(tmp_path):
    """Read a text as a file, after some replacements."""

    def given(text, *changes):
        for old, new in changes:
            assert old in text
            text = text.replace(old, new, 1)
        (tmp_path / "config.yml").write_text(text)
        return webeye_file.read(tmp_path / "config.yml")

    return given


def test_both_spellings_are_the_published_values(read):
    for text, name in ((NEWER, "current"), (OLDER, "first")):
        found = read(text)
        assert webeye_words.nearest(found) == (name, [])
        assert webeye.magail(found) == webeye.published_magail(name)
    assert found.name("jointpolicy.agent.num_hiddens") == "policy.user.num_hiddens"


def test_values_mean_what_they_meant(read):
    made = webeye.magail(read(NEWER))
    optimiser, judge = made.optimiser, made.discriminator
    assert (optimiser.envs, optimiser.rollout, optimiser.epochs) == (200, 10, 1)
    assert optimiser.envs * optimiser.rollout / optimiser.minibatches == 200
    assert (optimiser.discount, optimiser.trace, optimiser.clip) == (0.995, 0.96, 0.1)
    assert (optimiser.learning_rate, optimiser.gradient_clip, optimiser.entropy) == (1e-4, 40, 0)
    assert optimiser.network.hidden == (256,)
    assert optimiser.network.activation == "leaky_relu"
    assert optimiser.network.std_start == 0.0
    assert (made.learning_rate, made.noise, made.smoothing) == (4e-4, 0.15, 0.1)
    assert (made.passes, made.minibatch, made.momentum) == (1, 1402, (0.9, 0.999))
    assert made.gradient_clip == math.inf
    assert (judge.hidden, judge.dropout, judge.judges) == ((256, 256), 0.5, "sas")
    assert webeye.steps(read(NEWER)) == 200_000_000


def test_tricks_that_are_off_or_were_not_there_are_none(read):
    off = read(NEWER, ("use_noise: True", "use_noise: no"), ("smoothing: True", "smoothing: off"))
    for made in (webeye.magail(off), webeye.magail(read(OLDER))):
        assert (made.noise, made.smoothing) == (0.0, 0.0)


def test_the_discriminator_goes_through_the_log_once_per_update(read):
    """It took a step for each batch of 2,000 logged transitions, the last one smaller."""
    cuts = {rows: webeye.cuts(read(NEWER), rows) for rows in (20, 2000, 2001, 9000)}
    assert {rows: (cut.passes, cut.rows) for rows, cut in cuts.items()} == {
        20: (1, 20), 2000: (1, 2000), 2001: (2, 2000), 9000: (5, 2000)
    }  # fmt: skip


@pytest.mark.parametrize(
    ("minibatch", "count", "size"),
    [("200", 10, 200), ("300", 8, 250), ("2000", 1, 2000), ("99999", 1, 2000), ("7", 400, 5)],
)
def test_minibatches_are_of_one_size_no_larger_than_asked(read, minibatch, count, size):
    found = read(NEWER, ("batch_size: 200\n", f"batch_size: {minibatch}\n"))
    cut = webeye.cuts(found, 1402)
    assert (cut.minibatches, cut.size) == (count, size)
    said = [text for text in webeye_words.differences(found) if "mini_batch" in text]
    assert len(said) == (str(size) != minibatch)


def counted(weights):
    return sum(leaf.size for leaf in jax.tree.leaves(weights))


def drawn(part, spec):
    """Shapes of the weights of a part."""
    return jax.eval_shape(lambda key: part.init(spec, key), jax.random.key(0))


def test_networks_are_of_the_published_sizes():
    """There 41,996 and 81,842 weights of actors, 107,009 of the critic, 107,521 of D.

    Our actors also normalise what they read (2 * inputs), the environment's has 23 widths that
    depend on the state (23 * 257) and 15 bonuses of what is now; D is the same, and that of the
    environment reads 316 numbers. Critics have the layers of actors, which the first file's are.
    """
    spec = schemas.parse(webeye.schema(webeye.published())).spec
    made = webeye.published_magail()
    network = drawn(made.optimiser.network, spec)
    agent, world = spec.names
    actors = {name: counted(network.actors[name]) + network.stds[name].size for name in spec.names}
    assert actors[agent] == 41_996 + 2 * 155
    assert actors[world] == 81_842 + 2 * 161 + 23 * 257
    assert counted(network.follows[world]) == 15
    judges = drawn(made.discriminator, spec).nets
    assert counted(judges[agent]) == 107_521
    assert counted(judges[world]) == 107_521 + 155 * 256
    network = drawn(webeye.published_magail("first").optimiser.network, spec)
    assert counted(network.critics[agent]) == 107_009 + 2 * 155


def test_a_schema_says_what_columns_are(read):
    found = schemas.parse(webeye.schema(read(NEWER)))
    assert (found.state.size, sum(found.state.sections), found.action.size) == (155, 132, 6)
    assert len(found.columns) == 316


@pytest.mark.parametrize(
    ("written", "remark"),
    [
        ("LeaklyReLU", True), ("nn.LeaklyReLU", True), ("nn.LeakyReLU", True),
        ("leakyrelu", False), ("LEAKYRELU", False),
    ],
)  # fmt: skip
def test_misspelt_activations_are_read_and_said(read, written, remark):
    found = read(NEWER, ("activation: LeakyReLU", f"activation: {written}"))
    assert found["jointpolicy.agent.activation"] == "leaky_relu"
    assert len(found.remarks) == remark
    if remark:
        assert found.remarks[0].startswith("jointpolicy.agent.activation, jointpolicy.env.act")
        assert f"{written} is read as LeakyReLU" in found.remarks[0]


def test_older_spellings_are_what_remarks_name(read):
    found = read(OLDER)
    (said,) = found.remarks
    assert said.startswith("policy.user.activation, policy.env.activation, value.activation, disc")
    assert any(text.startswith("policy.user.drop_rate") for text in webeye_words.differences(found))


def test_what_has_no_counterpart_is_said_key_by_key(read):
    said = " | ".join(webeye_words.differences(read(NEWER)))
    for key in (
        "general.expert_data_path: not opened", "value.num_hiddens: critics", "value.l2_reg: left",
        "value.learning_rate: critics learn at the rate of actors, 0.0001",
        "jointpolicy.agent.drop_rate, jointpolicy.env.drop_rate, value.drop_rate: left out",
        "discriminator.num_states: what the environment answers is judged too",
        "ppo.clip_ratio: critics' values", "discriminator.use_noise: on standardised inputs",
    ):  # fmt: skip
        assert key in said
    assert "mini_batch" not in said
    assert "judged too" not in " ".join(webeye_words.differences(read(NEWER), judges="sa"))
    odd = read(
        OLDER, ("seed: 2020", "seed: 1\n  noise_std: 0.2\n  use_eval: True"),
        ("activation: nn.LeaklyReLU\n  drop_rate: 0.5\n  learning_rate: !!float 3e-3",
         "activation: Tanh\n  drop_rate: null\n  learning_rate: !!float 3e-4"),
        ("action_log_std: 0.0", "action_log_std: -1\n    use_multivariate_distribution: True"),
    )  # fmt: skip
    said = webeye_words.differences(odd)
    for key in (
        "general.noise_std: left out", "general.use_eval: left out", "value.activation: critics",
        "policy.user.use_multivariate_distribution, policy.env.use_multivariate_distribution: val",
        "policy.user.drop_rate, policy.env.drop_rate: left out",
    ):  # fmt: skip
        assert any(text.startswith(key) for text in said)
    assert not any("value.learning_rate" in text for text in said)
    # exp(log std) was the variance there
    assert webeye.magail(odd).optimiser.network.std_start == -0.5


def test_the_nearest_published_file_is_named_and_what_differs(read):
    found = read(
        NEWER, ("seed: 2020", "seed: 3"), ("num_hiddens: !!python/tuple [256]", "num_hiddens: [64]")
    )
    name, changes = webeye_words.nearest(found)
    assert name == "current"
    assert "general.seed 3 (published: 2020)" in changes
    assert "jointpolicy.env.num_hiddens [64] (published: [256])" in changes
    assert len(changes) == 3


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("seed: 2020", "seed: true", "a whole number of 0 or more at general.seed in"),
        ("seed: 2020", f"seed: 0x{'f' * 5000}", "found a number beyond 2³¹"),
        ("seed: 2020", "seed: -1", "general.seed"),
        ("seed: 2020", "sede: 2020", "general in .*found 'sede'; remove it, or write 'seed'"),
        ("  seed: 2020\n", "", "expected the key general.seed in .*found none"),
        ("gamma: 0.995", "gamma: 1.1", "from 0 to 1 at gae.gamma"),
        ("gamma: 0.995", "gamma: .nan", "gae.gamma"),
        ("!!float 4e-4", "4e-4", "discriminator.learning_rate.*the text '4e-4'; .*1.0e-4"),
        ("!!float 4e-4", "0", "discriminator.learning_rate"),
        ("sample_batch_size: 2000", "sample_batch_size: 2e3", "ppo.sample_batch_size"),
        ("tuple [256]", "tuple [256, 0]", r"num_hiddens in .*found \[256, 0\]"),
        ("!!python/tuple [256]", "256", "a list of layer sizes above 0 at jointpolicy.agent.num"),
        ("!!python/tuple [256]", "[[1], 2]", "found a list"),
        ("activation: LeakyReLU", "activation: PReLU", "leakyrelu, tanh at jointpolicy.agent"),
        ("activation: LeakyReLU", "activation: 3", "jointpolicy.agent.activation"),
        ("drop_rate: 0.5", "drop_rate: 1.0", "below 1, or null at jointpolicy.agent.drop_rate"),
        ("rate: 0.1", "rate: 0.5", "below 0.5 at discriminator.label_smooth_rate"),
        ("num_states: 161", "num_states: 155", "expected 161 at jointpolicy.env.num_states"),
        ("num_actions: 155", "num_actions: 154", "expected 155 at jointpolicy.env.num_actions"),
        ("num_states: 155", "num_states: 7", "expected 155 at general.num_states"),
        ("[5, 2,", "[5, 3,", "sections of 132 choices .* at jointpolicy.env.discrete.*found 133"),
        ("actions: 0\n", "actions: 7\n", "sections of 7 choices"),
        ("  env:\n", "  user: {}\n  env:\n", "one of agent and user at jointpolicy"),
        ("gae: {gamma: 0.995, tau: 0.96}", "gae: 3", "expected keys at gae in .*found 3"),
        ("tau: 0.96", "tau: 0.96, gamma: 1", "the key 'gamma' for a second time in line 8"),
        ("tau: 0.96", "tau: !!float high", "what is no float in line 8"),
        ("tau: 0.96", "tau: 2020-99-99", "what is no timestamp in line 8"),
        ("tau: 0.96}", "tau: 0.96", "no YAML .*in line"),
        ("tau: 0.96", "tau: !!python/name:os.system ''", "python/name:os.system.* in line 8"),
        ("tau: 0.96", "? [1, 2] : 3", "expected keys|unhashable"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_one_sentence_with_its_place(read, old, new, part):
    with pytest.raises(UserError, match=part) as error:
        read(NEWER, (old, new))
    assert "config.yml" in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 600


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "expected keys at the top in .*found nothing"),
        ("- 1", r"expected keys at the top in .*found \[1\]"),
        ("a: &a {b: *a}", "found 'a'; remove it, or take one of general, gae, ppo, jointpolicy"),
        ("general: &a {seed: *a}", "general.seed in .*found a dict"),
        ("[" * 5000, "expected YAML"),
        ("\x00", "expected YAML"),
    ],
)
def test_other_files_are_refused(tmp_path, text, part):
    path = tmp_path / "config.yml"
    path.write_text(text)
    with pytest.raises(UserError, match=part):
        webeye_file.read(path)


def test_a_file_runs_nothing(tmp_path):
    path, trace = tmp_path / "config.yml", tmp_path / "trace"
    path.write_text(f"a: !!python/object/apply:pathlib.Path.touch [{trace}]")
    with pytest.raises(UserError, match=r"but !!python/tuple, found .*python/object/apply"):
        webeye_file.read(path)
    path.write_text(f"a: !!python/object/apply:os.mkdir ['{trace}']")
    with pytest.raises(UserError, match=r"python/object/apply:os\.mkdir"):
        webeye_file.read(path)
    assert not trace.exists()


def test_files_that_are_no_text_or_not_there_are_refused(tmp_path):
    (tmp_path / "a.yml").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(UserError, match="UTF-8"):
        webeye_file.read(tmp_path / "a.yml")
    for path in (tmp_path / "b.yml", tmp_path):
        with pytest.raises(UserError, match="found none at"):
            webeye_file.read(path)


def test_halves_of_other_networks_are_refused(read):
    found = read(NEWER, ("<<: *half", "<<: *half\n    num_hiddens: [64]"))
    with pytest.raises(UserError, match=r"jointpolicy.agent.num_hiddens and jointpolicy.env.num_h"):
        webeye.magail(found)


def test_a_log_of_other_columns_is_refused(read):
    with pytest.raises(UserError, match=r"expected 'user' to decide sections \[\] and 6 values"):
        webeye.check(read(NEWER), log(3))


def test_an_unknown_publication_is_refused():
    with pytest.raises(UserError, match=r"expected one of \['current', 'validation', 'first'\]"):
        webeye.published_magail("latest")


def test_changes_reach_the_optimiser_and_its_network():
    made = webeye.published_magail("validation", rows=351, hidden=(8,), learning_rate=1e-3)
    assert (made.optimiser.network.hidden, made.optimiser.learning_rate) == ((8,), 1e-3)
    assert (made.optimiser.envs, made.minibatch) == (50, 351)
    same = webeye.published_magail("validation", rows=351)
    assert dataclasses.replace(same, optimiser=made.optimiser) == made
