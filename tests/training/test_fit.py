"""Tests of the training loop: it learns, resumes bit for bit, and explains errors in words."""

import numpy as np
import pytest
import torch
from support.small_training import Tiny, linear, stripes
from torch.nn import functional as F

from edgekd.config import Augment, Compute, Training
from edgekd.data.batches import Views
from edgekd.errors import TrainingError
from edgekd.nn import tensors
from edgekd.training.evaluate import scores
from edgekd.training.fit import fit
from edgekd.training.optimizer import learning_rate, optimizer_for

SPLITS = stripes()
SETTINGS = Training(epochs=4, batch_size=16)


class Killed(Exception):
    """Stands in for a kill between two epochs."""


def hard_labels(module, batch):
    return F.cross_entropy(module(batch.x), batch.y)


def train(model, settings=SETTINGS, splits=SPLITS, step=hard_labels, **options):
    options = {"seed": 0, "compute": Compute(accelerator="cpu", threads=1), "title": "distill", **options}
    return fit(model, step, splits, settings, **options)


def tiny(seed=0):
    torch.manual_seed(seed)
    return Tiny()


def same(first, second):
    weights = second.state_dict()
    return all(torch.equal(value, weights[key]) for key, value in first.state_dict().items())


def test_it_learns():
    model = tiny()
    result = train(model, Training(epochs=12, batch_size=16))
    assert result.losses[-1] < 0.5 * result.losses[0]
    assert scores(model, SPLITS, title="test")["score"] > 95
    assert (result.epochs, result.processes, result.resumed_from, result.device) == (12, 1, 0, "cpu")


@pytest.mark.parametrize("settings", [SETTINGS, Training(epochs=4, batch_size=16, optimizer="adamw", precision="bf16")])
@pytest.mark.parametrize("stop", [1, 3])
def test_a_killed_training_ends_on_the_same_bits_as_an_uninterrupted_one(tmp_path, settings, stop):
    augment = Augment(shift=1, flip=True)
    model, halves = tiny(), tiny()
    uninterrupted = train(model, settings, augment=augment)

    def kill(module, epoch):
        if epoch == stop:
            raise Killed

    with pytest.raises(Killed):
        train(halves, settings, augment=augment, checkpoint=tmp_path / "state", on_epoch=kill)
    torch.rand(7)  # the state of torch's own generator must not matter
    fresh = tiny(seed=5)
    resumed = train(fresh, settings, augment=augment, checkpoint=tmp_path / "state")
    assert same(model, fresh)
    assert resumed.resumed_from == stop and resumed.losses == uninterrupted.losses


def record_epochs(splits=SPLITS, epochs=4, **options):
    """Train, and return the view and the inputs by position of each epoch."""
    records = []

    def look(module, batch):
        if len(records[-1]) == 0:
            records[-1] = [batch.view, {}]
        records[-1][1].update(zip(batch.index.tolist(), batch.x.numpy().copy(), strict=True))
        return hard_labels(module, batch)

    settings = Training(epochs=epochs, batch_size=16)
    train(tiny(), settings, splits, look, augment=Augment(shift=2), on_epoch=lambda *_: records.append([]), **options)
    return records


def same_images(one, other):
    return all(np.array_equal(one[position], other[position]) for position in range(96))


def test_epochs_take_turns_with_the_views():
    records = record_epochs(views=Views(seed=7, count=2))
    assert [view for view, _ in records] == [0, 1, 0, 1]
    (_, first), (_, second), (_, third), (_, fourth) = records
    assert same_images(first, third) and same_images(second, fourth) and not same_images(first, second)


def test_as_many_views_as_epochs_are_what_is_drawn_afresh():
    fresh, views = record_epochs(seed=3), record_epochs(seed=3, views=Views(seed=3, count=4))
    assert [view for view, _ in fresh] == [None] * 4
    assert all(same_images(one, other) for (_, one), (_, other) in zip(fresh, views, strict=True))


def test_a_finished_training_is_not_repeated(tmp_path):
    first, second = tiny(), tiny(seed=1)
    train(first, checkpoint=tmp_path / "state")
    assert train(second, checkpoint=tmp_path / "state").resumed_from == 4
    assert same(first, second)


def test_the_seed_decides():
    first, second, other = tiny(), tiny(), tiny()
    train(first), train(second), train(other, seed=1)
    assert same(first, second) and not same(first, other)


def test_a_damaged_state_is_started_over_with_a_note(tmp_path):
    state = tmp_path / "state"
    train(tiny(), checkpoint=state)
    state.write_bytes(state.read_bytes()[:1000])
    result = train(tiny(), checkpoint=state)
    assert result.resumed_from == 0 and "damaged" in result.notes[0]


def test_the_state_of_another_training_is_not_gone_on_from(tmp_path):
    train(tiny(), checkpoint=tmp_path / "state")
    result = train(tiny(), Training(epochs=4, batch_size=16, momentum=0.5), checkpoint=tmp_path / "state")
    assert result.resumed_from == 0 and "other settings" in result.notes[0]


def test_the_state_holds_no_pickled_code(tmp_path):
    train(tiny(), checkpoint=tmp_path / "state")
    assert tensors.read(tmp_path / "state")["epoch"] == 4


def test_a_loss_that_is_not_finite_names_stage_epoch_and_step_and_a_calmer_learning_rate():
    def explode(module, batch):
        return hard_labels(module, batch) * (float("nan") if 50 in batch.index else 1)

    with pytest.raises(TrainingError, match=r"distill: the loss became nan in epoch 1, step \d") as error:
        train(tiny(), step=explode)
    assert error.value.remedy == "--set distill.learning_rate=0.033"


def test_a_loss_that_is_no_scalar_is_refused():
    with pytest.raises(TrainingError, match=r"shape \(16,\)"):
        train(tiny(), step=lambda module, batch: F.cross_entropy(module(batch.x), batch.y, reduction="none"))


def test_out_of_memory_suggests_half_the_batch():
    def greedy(module, batch):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(TrainingError, match="out of memory") as error:
        train(tiny(), step=greedy, title="prune: step 1 of 2")
    assert error.value.remedy == "--set prune.batch_size=8"


def test_other_errors_of_a_model_are_not_taken_for_want_of_memory():
    def broken(module, batch):
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        train(tiny(), step=broken)


def test_a_batch_larger_than_the_data_shrinks_to_it_with_a_note():
    result = train(tiny(), Training(epochs=1, batch_size=512))
    assert len(result.losses) == 1 and "batch_size 512 became 96" in result.notes[0]


def test_one_sample_is_too_few():
    with pytest.raises(TrainingError, match="1 training samples"):
        train(tiny(), splits=stripes(count=1))


def test_torchs_settings_and_chance_are_left_as_they_were():
    model = tiny()
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    train(model, Training(epochs=1, batch_size=16))
    assert torch.equal(torch.rand(1), expected)
    assert not torch.are_deterministic_algorithms_enabled()
    assert all(p.is_contiguous() and p.grad is None for p in model.parameters())


def test_frozen_parameters_stay():
    model = tiny()
    model.body[0].weight.requires_grad_(False)
    before = model.body[0].weight.clone()
    train(model)
    assert torch.equal(model.body[0].weight, before)


def test_the_learning_rate_rises_in_a_line_and_falls_in_one_cosine():
    settings = Training(learning_rate=1.0, warmup=0.1)
    rates = [learning_rate(step, 100, settings) for step in range(100)]
    assert rates[10] == max(rates) == 1.0
    assert np.allclose(np.diff(rates[:11]), 1 / 11)
    assert rates[55] == pytest.approx(0.5) and rates[99] < 1e-3
    assert all(np.diff(rates[10:]) < 0)


def test_a_constant_learning_rate_rises_and_stays():
    settings = Training(learning_rate=1.0, warmup=0.1, schedule="constant")
    rates = [learning_rate(step, 100, settings) for step in range(100)]
    assert rates[0] == pytest.approx(1 / 11) and rates[10:] == [1.0] * 90


def test_weight_decay_leaves_out_biases_and_batch_norm():
    model = tiny()
    decayed, spared = optimizer_for(model, Training(weight_decay=0.1)).param_groups
    assert {id(p) for p in decayed["params"]} == {id(model.body[0].weight), id(model.head.weight)}
    assert spared["weight_decay"] == 0 and len(spared["params"]) == 4


def test_inputs_that_are_no_images_train_too():
    splits = stripes()
    flat = type(splits)(
        *[type(part)(part.x.reshape(len(part), -1), part.y) for part in (splits.train, splits.validation, splits.test)],
        splits.classes, (0.43,) * 64, (0.3,) * 64,
    )  # fmt: skip
    result = train(linear(), splits=flat, augment=Augment(shift=1))
    assert result.losses[-1] < result.losses[0]
