"""The mean of the weights of the last epochs: exact, with its own statistics, resumed bit for bit, refused in time."""

import pytest
import torch
from torch.nn import functional as F
from toys import CPU, Tiny, linear, stripes

from edgekd.config import Distill, Training
from edgekd.errors import ConfigError
from edgekd.nn.averaging import Averaging
from edgekd.nn.fit import fit
from edgekd.nn.lesson import Lesson, learn, trained

SPLITS = stripes()
SETTINGS = Training(epochs=5, batch_size=16, schedule="constant")


def hard_labels(module, batch):
    return F.cross_entropy(module(batch.x), batch.y)


def train(model, last=0, **options):
    average = Averaging(model, last) if last else None
    return fit(model, hard_labels, SPLITS, SETTINGS, seed=0, compute=CPU, title="distill", average=average, **options)


def tiny(seed=0):
    torch.manual_seed(seed)
    return Tiny()


def test_weights_are_the_mean_over_the_ends_of_the_last_epochs():
    seen = []
    averaged, plain = tiny(), tiny()
    train(averaged, 3)
    train(plain, on_epoch=lambda module, epoch: seen.append(module.head.weight.detach().clone()))
    expected = torch.stack([*seen[3:], plain.head.weight]).mean(0)  # an epoch begins where the one before it ended
    torch.testing.assert_close(averaged.head.weight, expected)
    assert not torch.allclose(averaged.head.weight, plain.head.weight)


def test_batch_norms_have_the_statistics_that_go_with_the_mean():
    model = tiny()
    train(model, 2)
    conv, norm = model.body[0], model.body[1]
    assert norm.momentum == 0.1 and int(norm.num_batches_tracked) == len(SPLITS.train) // 16
    x = torch.from_numpy(SPLITS.train.x / 255).float().sub(SPLITS.mean[0]).div(SPLITS.std[0])
    torch.testing.assert_close(norm.running_mean, conv(x).mean((0, 2, 3)), atol=1e-5, rtol=1e-4)


class Killed(Exception):
    """Stands in for a kill between two epochs."""


@pytest.mark.parametrize("stop", [2, 4])
def test_a_killed_training_ends_on_the_same_bits(tmp_path, stop):
    def kill(module, epoch):
        if epoch == stop:
            raise Killed

    whole, halves, fresh = tiny(), tiny(), tiny(seed=5)
    train(whole, 3)
    with pytest.raises(Killed):
        train(halves, 3, checkpoint=tmp_path / "state", on_epoch=kill)
    assert train(fresh, 3, checkpoint=tmp_path / "state").resumed_from == stop
    assert all(torch.equal(value, fresh.state_dict()[key]) for key, value in whole.state_dict().items())


def test_a_training_over_other_epochs_is_another_one(tmp_path):
    train(tiny(), 3, checkpoint=tmp_path / "state")
    assert train(tiny(), 2, checkpoint=tmp_path / "state").resumed_from == 0


def test_without_batch_norms_the_mean_is_all():
    averaged, plain = linear(), linear()
    averaged.load_state_dict(plain.state_dict())
    train(averaged, 1)
    train(plain)
    assert torch.equal(averaged[1].weight, plain[1].weight)


def lesson(**settings):
    chosen = Distill(epochs=3, batch_size=16, **settings)
    return Lesson(tiny(), tiny, None, None, (), SPLITS, chosen, 0, CPU)


def test_a_student_is_averaged_as_its_settings_say():
    plain, averaged = lesson(), lesson(average=2)
    learn(plain)
    learn(averaged)
    assert not torch.equal(plain.student.head.weight, averaged.student.head.weight)
    assert int(averaged.student.body[1].num_batches_tracked) == len(SPLITS.train) // 16


def test_schemes_in_which_more_than_a_student_learns_refuse():
    asked = lesson(average=2)
    with pytest.raises(ConfigError, match=r"distill\.average is for schemes"):
        trained(asked, asked.student, hard_labels)
