"""Bad inputs, a table: what is typed, what the one line of error says, and the exit code."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import wrongs
from wrongs import LABELS, TINY, Given, both, damage, file, idx, module, mounted, net, nothing, npz, weights

BUILD, CHECK = "build --target rpi4", "check --target rpi4"
IDX = f"{CHECK} --set data.name=idx --set data.root=idx"
NPZ = f"{CHECK} --set data.name=npz --set data.root=set.npz"
SETS = f"{CHECK} --set data.name=mine:waves"
OWN = "--set student.model=mine:Net --set student.hidden="
PT = f"{BUILD} --set teacher.checkpoint=teacher.pt"


@dataclass(frozen=True)
class Bad:
    """One row.

    Attributes:
        typed: after `edgekd`.
        says: in the line of the error; `code` is the command's.
        given: what is done to the folder of a finished build before.
    """

    title: str
    typed: str
    says: str
    code: int
    given: Given = nothing


def bad(title: str, typed: str, says: str, code: int = 1, given: Given = nothing) -> Bad:
    return Bad(title, typed, says, code, given)


def config(text: str) -> Given:
    return file("edgekd.toml", text)


def student(text: str) -> Given:
    """TINY with a student of the user's own."""
    return config(TINY.replace('student = { model = "mlp", hidden = [16] }', f"student = {{ {text} }}"))


MISTYPED = (
    bad("no TOML", BUILD, "edgekd.toml is not TOML: ", 2, config("seed = [")),
    bad("a config that is no text", BUILD, "is not UTF-8 text: ", 2, file("edgekd.toml", b"\xff\xfe=")),
    bad("a config that is not there", f"{BUILD} --config gone.toml", "there is no file gone.toml", 2),
    bad("a config that is a folder", f"{BUILD} --config build", "build can't be read: Is a directory", 2),
    bad("a misspelt setting", BUILD, "unknown setting distill.epoch (edgekd.toml)", 2, config("distill.epoch = 3")),
    bad("a misspelt section", BUILD, "unknown setting distil (edgekd.toml)", 2, config("[distil]\nepochs = 3")),
    bad("a setting without its section", f"{BUILD} --set criterion=taylor", "unknown setting criterion (--set)", 2),
    bad("a section that is no table", f"{BUILD} --set limits=3", "limits must be a table, not 3", 2),
    bad("a wrong type", f"{BUILD} --set distill.epochs=many", "distill.epochs should be a valid integer", 2),
    bad("out of range", f"{BUILD} --set teacher.learning_rate=-1", "should be greater than 0, not -1", 2),
    bad("no number", f"{BUILD} --set teacher.learning_rate=nan", "teacher.learning_rate should be a finite", 2),
    bad("no epochs", f"{BUILD} --set quantize.epochs=0", "quantize.epochs should be greater than 0", 2),
    bad("a negative seed", f"{BUILD} --set seed=-1", "seed should be greater than or equal to 0", 2),
    bad("an unknown choice", f"{BUILD} --set distill.optimizer=adam", "should be 'sgd' or 'adamw', not 'adam'", 2),
    bad("no such unit", f"{BUILD} --set limits.size_bytes='4 parsec'", "limits.size_bytes could not interpret", 2),
    bad("no formats", f"{BUILD} --set export.formats=[]", "export.formats should not be empty", 2),
    bad("--set without a value", f"{BUILD} --set seed", "--set 'seed' is not key=value", 2),
    bad("--set without a key", f"{BUILD} --set =3", "--set '=3' is not key=value", 2),
    bad("no target", "build", "--target is missing; edgekd has android, cortex-m4, rpi4", 2),
    bad("an unknown target", "build --target rpi5", "there is no target named 'rpi5'", 2),
    bad(
        "a target's file that is not there", "check --target ./my.toml",
        "target ./my.toml: there is no such file", 2,
    ),
    bad(
        "a target with a wrong table", "check --target ./t.toml", "has no table [limit]", 2,
        file("t.toml", "[limit]"),
    ),
    bad(
        "a target that sets the teacher", "check --target ./t.toml", "a target can't set teacher", 2,
        file("t.toml", "[settings.teacher]"),
    ),
    bad("an unknown model", f"{BUILD} --set student.model=resnet9", "there is no model named 'resnet9'", 2),
    bad("an unknown data set", f"{BUILD} --set data.name=mnist", "there is no data set named 'mnist'", 2),
    bad("an unknown loss", BUILD, "there is no loss named 'logit'", 2, config('distill.losses = [{name = "logit"}]')),
    bad("an unknown criterion", f"{BUILD} --set prune.criterion=tailor", "there is no criterion named 'tailor'", 2),
    bad(
        "an option of no model", f"{BUILD} --set student.widht=2",
        "model 'mlp' takes classes, input_shape, hidden", 2,
    ),
    bad(
        "an option of no loss", BUILD, "unknown setting distill.losses[0].temprature", 2,
        config('distill.losses = [{name = "logits", temprature = 3}]'),
    ),
    bad("a module that is not there", f"{CHECK} {OWN}", "there is no module named 'mine'", 2),
    bad("a module without the name", f"{CHECK} {OWN}", "has no 'Net'", 2, module("class Nets(nn.Module): pass")),
    bad("a module that is no Python", f"{CHECK} {OWN}", "mine.py can't be read as Python", 2, module("def Net(:")),
    bad(
        "an option that its factory needs", SETS, "data.length is missing: data set 'mine:waves' needs it", 2,
        module("def waves(length): ..."),
    ),
    bad("no data root", f"{CHECK} --set data.name=idx --set data.root=gone", "data.root: there is no gone", 2),
    bad("no checkpoint", f"{BUILD} --set teacher.checkpoint=gone.pt", "teacher.checkpoint: there is no gone.pt", 2),
    bad("a checkpoint that is a folder", f"{BUILD} --set teacher.checkpoint=build", "build is a folder", 2),
    bad("no student's checkpoint", f"{BUILD} --set student.checkpoint=gone.pt", "student.checkpoint: there is no", 2),
    bad(
        "a checkpoint that the build would overwrite", f"{BUILD} --set student.checkpoint=build/rpi4/student.pt",
        "this build would overwrite its own checkpoint", 2, file("build/rpi4/student.pt", "weights"),
    ),
    bad("a student that nothing trains", f"{BUILD} --set distill.epochs=0", "distill.epochs = 0 leaves the student", 2),
    bad("no such command", "biuld --target rpi4", "no such command 'biuld'", 2),
    bad("no such option", "build --tagret rpi4", "no such option: --tagret", 2),
    bad("an argument too many", "build rpi4", "unexpected extra argument", 2),
    bad("a config that init would overwrite", "init", "edgekd.toml is there already", 2),
)  # fmt: skip

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
        npz(x_train=wrongs.with_nan(), x_test=wrongs.with_nan() * 0),
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
        wrongs.cifar10_cut_short,
    ),
    bad(
        "an image that is none", f"{CHECK} --set data.name=images --set data.root=pics",
        "can't be read as an image", 1,
        wrongs.no_image,
    ),
    bad(
        "Pillow is missing", f"{CHECK} --set data.name=images --set data.root=pics",
        "needs Pillow, which is not installed", 4,
        both(wrongs.no_image, wrongs.no_pillow),
    ),
    bad("a module that fails", SETS, "importing mine failed: KeyError: 1", 2, module("{}[1]\ndef waves(): ...")),
    bad(
        "a module that needs another", SETS, "needs the module 'pil_low'", 2,
        module("import pil_low\ndef waves(): ..."),
    ),
)  # fmt: skip

GROUP_NORM = net(
    "return self.head(self.norm(self.wide(x.flatten(1))))",
    "self.wide, self.norm = nn.Linear(64, 64), nn.GroupNorm(4, 64)",
)
LOSS = TINY.replace("baseline", 'losses = [{ name = "mine:Loss" }], baseline')
MODELS = (
    bad("a checkpoint cut short", PT, "teacher.pt is damaged or no torch checkpoint", 1, wrongs.truncated_checkpoint),
    bad(
        "a checkpoint that is text", PT, "teacher.pt is damaged or no torch checkpoint", 1,
        file("teacher.pt", "weights"),
    ),
    bad(
        "an empty checkpoint", PT, "teacher.pt is damaged or no torch checkpoint (0 bytes)", 1,
        file("teacher.pt", ""),
    ),
    bad("code in a checkpoint", PT, "teacher.pt holds pickled code", 1, wrongs.trapped_checkpoint),
    bad("code in an old checkpoint", PT, "teacher.pt holds pickled code", 1, wrongs.trapped_pickle),
    bad(
        "a checkpoint of other shapes", f"{PT} --set teacher.hidden=[8]",
        "layers.1.weight (16, 64) instead of (8, 64)", 1,
        weights(lambda w: w),
    ),
    bad(
        "a checkpoint with keys missing", PT, "it lacks layers.3.weight, layers.3.bias", 1,
        weights(wrongs.without_head),
    ),
    bad(
        "a checkpoint of another network", PT, "it lacks layers.1.weight, layers.1.bias, layers.3.weight", 1,
        weights(lambda w: {"conv.weight": w["layers.1.weight"]}),
    ),
    bad(
        "a checkpoint without tensors", PT, "teacher.pt holds no weights, but epoch", 1,
        weights(lambda w: {"epoch": 3}),
    ),
    bad("NaN in a checkpoint", PT, "not finite in layers.1.weight", 1, weights(wrongs.with_nan_weight)),
    bad(
        "a model of other classes", BUILD, "gives logits of shape (2, 7); the data has 10 classes", 1,
        both(net("return self.head(x.flatten(1))[:, :7]"), student('model = "mine:Net"')),
    ),
    bad(
        "a model of other inputs", BUILD, "can't take the data's inputs of shape (1, 8, 8)", 1,
        both(net("return self.head(x)"), student('model = "mine:Net"')),
    ),
    bad(
        "a model that can't be built", BUILD, "can't be built: ValueError: too odd", 1,
        both(module("def Net():\n    raise ValueError('too odd')"), student('model = "mine:Net"')),
    ),
    bad(
        "a model that is none", BUILD, "is a dict", 1,
        both(module("def Net():\n    return {}"), student('model = "mine:Net"')),
    ),
    bad(
        "an operator without a writer, checked", CHECK,
        "for rpi4: layer norm (group_norm, mine.py:13) has no int8 form", 1,
        both(GROUP_NORM, student('model = "mine:Net"')),
    ),
    bad(
        "an operator without a writer, built", BUILD, "nn.BatchNorm2d", 1,
        both(GROUP_NORM, student('model = "mine:Net"')),
    ),
    bad(
        "a loss that is no scalar", BUILD, "where a scalar is due", 1,
        both(module("class Loss(nn.Module):\n    def forward(self, s, t, y): return s.logits"), config(LOSS)),
    ),
    bad(
        "a loss that is NaN", f"{BUILD} --set distill.learning_rate=1e30 --set distill.epochs=2",
        "distill: the loss became nan in epoch 2, step 1", 1,
    ),
    bad(
        "weights that the last step spoiled", f"{BUILD} --set distill.learning_rate=1e30",
        "gives logits that are not finite", 1,
    ),
    bad(
        "a criterion of other scores", f"{BUILD} --set prune.criterion=mine:score",
        "gave shape (3,), not one score for each of 16", 1,
        module("def score(group, batch): return torch.ones(3)"),
    ),
    bad(
        "a graphics card that is not there", f"{BUILD} --set compute.accelerator=mps --set seed=1",
        "this machine has none that torch can use", 2,
    ),
)  # fmt: skip

LIMITS = (
    bad("a size that can't be met", f"{CHECK} --set limits.size_bytes=100", "over budget before training: size", 3),
    bad(
        "a size that pruning can't meet", f"{BUILD} --set limits.size_bytes=100 --set prune.until=limits",
        "even cut to its narrowest, the student does not fit", 3,
    ),
    bad("a size that is missed", f"{BUILD} --set limits.size_bytes=1000", "over budget: size", 3),
    bad(
        "an accuracy that is missed", f"{BUILD} --set limits.accuracy_drop=0 --set teacher.epochs=5",
        "over budget: accuracy drop", 3,
    ),
    bad(
        "limits that are none", "build --target ./t.toml --set prune.until=limits",
        "sets no limit on size or RAM", 2,
        file("t.toml", "[device]"),
    ),
)  # fmt: skip

PLACES = (
    bad("a full disk", f"{BUILD} --set seed=1 --store full", "no space left for ", 1, mounted("full", "size=64k")),
    bad("a full output folder", f"{BUILD} --out full", "no space left for full/", 1, mounted("full", "size=8k")),
    bad(
        "an output folder for reading", f"{BUILD} --out frozen", "frozen can't be written: Read-only", 1,
        mounted("frozen", "ro"),
    ),
    bad(
        "a store for reading", f"{BUILD} --store frozen", "frozen can't be written: Read-only", 1,
        mounted("frozen", "ro"),
    ),
    bad("an output folder that is a file", f"{BUILD} --out edgekd.toml", "a file stands where a folder should", 1),
    bad("a store that is a file", f"{BUILD} --store edgekd.toml", "a file stands where a folder should", 1),
    bad("a folder that can't be made", f"{BUILD} --out /proc/edgekd", "/proc/edgekd can't be", 1),
    bad(
        "damaged work in the store", BUILD, "weights.pt has 3 bytes instead of", 1,
        damage(".edgekd/teacher/*/model/weights.pt", b"abc"),
    ),
    bad(
        "damaged work in a folder with a space", f"{BUILD} --store 'my store'", "try: rm -r '/", 1,
        both(wrongs.spaced_store, damage("my store/teacher/*/model/weights.pt", b"abc")),
    ),
    bad(
        "a damaged record in the store", BUILD, "artifact.json can't be read", 1,
        damage(".edgekd/distill/*/artifact.json", b"{"),
    ),
    bad(
        "a TFLite file that was tampered with", "verify --target rpi4",
        "model.tflite in build/rpi4 is not the file that was built", 5,
        wrongs.flip_a_weight,
    ),
    bad(
        "a TFLite file that is none", "verify --target rpi4", "model.tflite in build/rpi4 can't be run", 5,
        damage("build/rpi4/model.tflite", b"TFL3"),
    ),
    bad(
        "a file that is gone", "verify --target rpi4", "build/rpi4/model.onnx is not there", 1,
        lambda: Path("build/rpi4/model.onnx").unlink(),
    ),
    bad("nothing to verify", "verify --target rpi4 --store empty", "holds no finished data", 1),
    bad("no report", "report --target android", "there is no build/android/report.json", 1),
    bad(
        "a report that is none", "report --target rpi4", "is no report of this version", 1,
        damage("build/rpi4/report.json", b"{}"),
    ),
)  # fmt: skip

TABLE = (*MISTYPED, *DATA, *MODELS, *LIMITS, *PLACES)
