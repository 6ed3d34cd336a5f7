"""Bad data sets: files, arrays, labels and user-defined factories."""

import numpy as np
from support import faults
from support.faults import LABELS, both, file, idx, module, npz

from bad_inputs.row import CHECK, bad

IDX = f"{CHECK} --set data.name=idx --set data.root=idx"
NPZ = f"{CHECK} --set data.name=npz --set data.root=set.npz"
SETS = f"{CHECK} --set data.name=mine:waves"

DATA = (
    bad("a data set without its root", f"{CHECK} --set data.name=idx", "data set 'idx' needs data.root", 2),
    bad("a file for a folder", f"{CHECK} --set data.name=idx --set data.root=edgekd.toml", "needs a folder", 2),
    bad("a file that is missing", IDX, "there is no t10k-labels-idx1-ubyte in ", 1, idx(t10k_labels_idx1=None)),
    bad(
        "truncated gzip", IDX, "train-images-idx3-ubyte.gz is no whole gzip file", 1,
        idx(train_images_idx3=b"\x1f\x8b\x08"),
    ),
    bad(
        "a wrong magic number", IDX, "is no idx file: it begins with 50 4b 03 04", 1,
        idx(train_images_idx3=b"PK\3\4"),
    ),
    bad("a header that lies", IDX, "and its header promises 44", 1, idx(train_labels_idx1=b"\0\0\x08\1\0\0\0\x24++")),
    bad("no .npz", NPZ, "set.npz is no .npz file", 1, file("set.npz", "x_train")),
    bad("an array that is missing", NPZ, "set.npz has no y_test", 1, npz(y_test=None)),
    bad("pickled objects", NPZ, "y_train in set.npz can't be read", 1, npz(y_train=np.array([{}] * 40, object))),
    bad("more inputs than labels", NPZ, "train: 40 inputs and 39 labels", 1, npz(y_train=LABELS[1:])),
    bad("one class", NPZ, "all samples are of one class", 1, npz(y_train=LABELS * 0, y_test=LABELS * 0)),
    bad(
        "a label out of range", NPZ, "labels go up to 7, and no sample has label 2", 1,
        npz(y_test=np.r_[LABELS[1:], 7]),
    ),
    bad("a negative label", NPZ, "there is a label -1", 1, npz(y_train=LABELS - 1)),
    bad(
        "a class without a name", NPZ, "test: there is a label 1, and 1 classes", 1,
        npz(y_train=LABELS * 0, classes=["a"]),
    ),
    bad("a class without training samples", NPZ, "train has no sample of class '1'", 1, npz(y_train=LABELS * 0)),
    bad("one-hot labels", NPZ, "as if one-hot", 1, npz(y_train=np.eye(2)[LABELS])),
    bad(
        "NaN in the inputs", NPZ, "input 7 holds NaN", 1,
        npz(x_train=faults.with_nan(), x_test=faults.with_nan() * 0),
    ),
    bad(
        "parts of other shapes", NPZ, "test has inputs of shape (1, 4, 4)", 1,
        npz(x_test=np.zeros((40, 1, 4, 4), np.uint8)),
    ),
    bad("an empty part", NPZ, "test is empty", 1, npz(x_test=np.zeros((0, 1, 8, 8), np.uint8), y_test=LABELS[:0])),
    bad("no validation part possible", f"{NPZ} --set data.validation=0.99", "makes 40 for validation", 1, npz()),
    bad("too few samples to train on", f"{CHECK} --set data.limit=5", "data.limit = 5 leaves out classes", 2),
    bad("a mean too many", f"{CHECK} --set data.mean=[0.1,0.2]", "data.mean has 2 values", 2),
    bad(
        "a shift out of sight", f"{CHECK} --set data.augment.shift=8",
        "can push images of 8x8 pixels out of sight", 2,
    ),
    bad(
        "a factory that fails", SETS, "'mine:waves' failed: ZeroDivisionError", 1,
        module("def waves(): return 1 / 0"),
    ),
    bad("a factory of something else", SETS, "gave a list, not a dict", 1, module("def waves(): return []")),
    bad(
        "no test part", SETS, "has no test part", 1,
        module("def waves(): return {'train': (np.eye(9), np.arange(9))}"),
    ),
    bad(
        "a batch of CIFAR-10 cut short", f"{CHECK} --set data.name=cifar10 --set data.root=pics",
        "no whole number of images", 1,
        faults.cifar10_cut_short,
    ),
    bad(
        "an image that is none", f"{CHECK} --set data.name=images --set data.root=pics",
        "can't be read as an image", 1,
        faults.no_image,
    ),
    bad(
        "Pillow is missing", f"{CHECK} --set data.name=images --set data.root=pics",
        "needs Pillow, which is not installed", 4,
        both(faults.no_image, faults.no_pillow),
    ),
    bad("a module that fails", SETS, "importing mine failed: KeyError: 1", 2, module("{}[1]\ndef waves(): ...")),
    bad(
        "a module that needs another", SETS, "needs the module 'pil_low'", 2,
        module("import pil_low\ndef waves(): ..."),
    ),
)  # fmt: skip
