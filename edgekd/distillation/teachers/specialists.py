"""Specialists: small experts for classes that a generalist confuses (Hinton et al., 2015, section 5).

Each knows the classes of one cluster and a dustbin for all others. Clusters are found as in section 5.1, by k-means on
the columns of the covariance of the generalist's predictions, here on the validation split. A specialist starts from
the generalist's weights and trains on its own classes and on as many samples of the others, chosen by chance; the
logit of its dustbin is then raised by the logarithm of how much rarer the others were than they are (section 5.2).

The paper uses those specialists whose classes contain one of the generalist's n likeliest, and finds by gradient
descent the distribution q that minimises KL(generalist, q) + sum of KL(specialist, q) (equation 5). Here clusters do
not overlap and n = 1, so that at most one specialist is used, and the minimum has a closed form: the mean of the
generalist's distribution and the specialist's, whose dustbin is shared out as the generalist would.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.data.splits import Split, Splits
from edgekd.tasks.classification.learning import likeliest


def clusters(logits: np.ndarray, count: int, seed: int) -> list[list[int]]:
    """Return clusters of classes that are predicted together, each of two or more classes, but not of all.

    Args:
        logits: the generalist's logits on the validation split, (N, classes).
        count: number of clusters, including those of one class, which are left out.
    """
    from sklearn.cluster import KMeans

    probabilities = torch.softmax(torch.from_numpy(logits).double(), dim=1).numpy()
    covariance = np.cov(probabilities, rowvar=False)
    labels = KMeans(min(count, len(covariance)), n_init=10, random_state=seed).fit(covariance).labels_
    groups = [np.flatnonzero(labels == label).tolist() for label in range(labels.max() + 1)]
    return sorted(cluster for cluster in groups if 1 < len(cluster) < len(covariance))


def specialist_splits(splits: Splits, classes: Sequence[int], seed: int) -> tuple[Splits, float]:
    """Return the data that a specialist trains on, and the correction of its dustbin's logit.

    The training split has the samples of its classes and as many of the others; labels are positions in `classes`, and
    len(classes) for the dustbin. Validation and test keep all their samples, labelled so.
    """
    own = np.isin(splits.train.y, classes)
    inside, outside = np.flatnonzero(own), np.flatnonzero(~own)
    sample = np.random.default_rng((seed, *classes)).permutation(outside)[: len(inside)]
    positions = np.sort(np.concatenate([inside, sample]))
    correction = math.log(len(outside) / len(sample)) if len(sample) else 0.0
    names = (*(splits.classes[c] for c in classes), "others")
    return replace(
        splits,
        train=_relabel(splits.train, classes, positions),
        validation=_relabel(splits.validation, classes),
        test=_relabel(splits.test, classes),
        classes=names,
    ), correction


def start_from(specialist: nn.Module, generalist: nn.Module) -> None:
    """Copy the generalist's weights wherever their shapes agree: everywhere but in the classifier."""
    theirs, ours = generalist.state_dict(), specialist.state_dict()
    weights = {name: value for name, value in theirs.items() if name in ours and ours[name].shape == value.shape}
    specialist.load_state_dict({**ours, **weights})


def combine_logits(generalist: Tensor, specialists: Sequence[Tensor], groups: Sequence[Sequence[int]]) -> Tensor:
    """Combine the generalist and its specialists into log-probabilities, (N, classes).

    Args:
        generalist: its logits, (N, classes).
        specialists: the logits of each specialist, (N, its classes + 1), with a corrected dustbin.
        groups: the classes of each specialist.
    """
    probabilities = torch.softmax(generalist, dim=1)
    likeliest_class = likeliest(generalist)
    log_probabilities = F.log_softmax(generalist, dim=1).clone()
    for logits, group in zip(specialists, groups, strict=True):
        inside = torch.tensor(group, device=generalist.device)
        mask = torch.isin(likeliest_class, inside)
        if not mask.any():
            continue
        ours, theirs = probabilities[mask], torch.softmax(logits[mask], dim=1)
        others = ours.clone()
        others[:, inside] = 0
        distribution = others / others.sum(dim=1, keepdim=True).clamp_min(1e-12) * theirs[:, -1:]
        distribution[:, inside] = theirs[:, :-1]
        log_probabilities[mask] = ((ours + distribution) / 2).clamp_min(1e-12).log()
    return log_probabilities


def _relabel(split: Split, classes: Sequence[int], positions: np.ndarray | None = None) -> Split:
    places = {label: place for place, label in enumerate(classes)}
    y = np.array([places.get(int(label), len(classes)) for label in split.y], np.int64)
    return Split(split.x, y) if positions is None else Split(split.x[positions], y[positions])
