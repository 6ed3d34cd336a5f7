"""Specialists: small experts for classes that a generalist confuses (Hinton et al., 2015, section 5).

Each knows the classes of one cluster and a dustbin for all others. Clusters are found as in section 5.1, by k-means on
the columns of the covariance of the generalist's predictions, here on the validation split. A specialist starts from
the generalist's weights and trains on its own classes and on as many samples of the others, chosen by chance; the
logit of its dustbin is then raised by the logarithm of how much rarer the others were than they are (section 5.2).

The paper asks those specialists whose classes contain one of the generalist's n likeliest, and finds by gradient
descent the distribution q that minimises KL(generalist, q) + sum of KL(specialist, q) (equation 5). Here clusters do
not overlap and n = 1, so that one specialist at most is asked, and the minimum has a closed form: the mean of the
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
    """Classes that are predicted together: two or more a cluster, not all. A class that stands alone is in none.

    Args:
        logits: the generalist's on the validation split, (N, classes).
        count: of clusters, those of one class included.
    """
    from sklearn.cluster import KMeans

    probabilities = torch.softmax(torch.from_numpy(logits).double(), dim=1).numpy()
    covariance = np.cov(probabilities, rowvar=False)
    labels = KMeans(min(count, len(covariance)), n_init=10, random_state=seed).fit(covariance).labels_
    found = [np.flatnonzero(labels == label).tolist() for label in range(labels.max() + 1)]
    return sorted(cluster for cluster in found if 1 < len(cluster) < len(covariance))


def specialist_splits(splits: Splits, classes: Sequence[int], seed: int) -> tuple[Splits, float]:
    """What a specialist trains on, and the correction of its dustbin's logit.

    The training split has the samples of its classes and as many of the others; labels are places in `classes`, and
    len(classes) for the dustbin. Validation and test keep all their samples, labelled so.
    """
    own = np.isin(splits.train.y, classes)
    inside, outside = np.flatnonzero(own), np.flatnonzero(~own)
    chosen = np.random.default_rng((seed, *classes)).permutation(outside)[: len(inside)]
    positions = np.sort(np.concatenate([inside, chosen]))
    correction = math.log(len(outside) / len(chosen)) if len(chosen) else 0.0
    names = (*(splits.classes[c] for c in classes), "others")
    return replace(
        splits,
        train=_labelled(splits.train, classes, positions),
        validation=_labelled(splits.validation, classes),
        test=_labelled(splits.test, classes),
        classes=names,
    ), correction


def start_from(specialist: nn.Module, generalist: nn.Module) -> None:
    """Take over the generalist's weights wherever they fit: everywhere but in the classifier."""
    theirs, ours = generalist.state_dict(), specialist.state_dict()
    fitting = {name: value for name, value in theirs.items() if name in ours and ours[name].shape == value.shape}
    specialist.load_state_dict({**ours, **fitting})


def combined(generalist: Tensor, specialists: Sequence[Tensor], groups: Sequence[Sequence[int]]) -> Tensor:
    """The logarithm of what the generalist and its specialists say together, (N, classes).

    Args:
        generalist: logits, (N, classes).
        specialists: logits of each, (N, its classes + 1), the dustbin's corrected.
        groups: the classes of each.
    """
    probabilities = torch.softmax(generalist, dim=1)
    likeliest_class = likeliest(generalist)
    found = F.log_softmax(generalist, dim=1).clone()
    for logits, group in zip(specialists, groups, strict=True):
        inside = torch.tensor(group, device=generalist.device)
        asked = torch.isin(likeliest_class, inside)
        if not asked.any():
            continue
        ours, theirs = probabilities[asked], torch.softmax(logits[asked], dim=1)
        others = ours.clone()
        others[:, inside] = 0
        shared = others / others.sum(dim=1, keepdim=True).clamp_min(1e-12) * theirs[:, -1:]
        shared[:, inside] = theirs[:, :-1]
        found[asked] = ((ours + shared) / 2).clamp_min(1e-12).log()
    return found


def _labelled(split: Split, classes: Sequence[int], positions: np.ndarray | None = None) -> Split:
    places = {label: place for place, label in enumerate(classes)}
    y = np.array([places.get(int(label), len(classes)) for label in split.y], np.int64)
    return Split(split.x, y) if positions is None else Split(split.x[positions], y[positions])
