"""Bad checkpoints, and faulty user-defined models, losses and criteria."""

from support import faults
from support.faults import TINY, both, file, module, net, weights

from bad_inputs.row import BUILD, CHECK, bad, config, student

PT = f"{BUILD} --set teacher.checkpoint=teacher.pt"

RMS_NORM = net(
    "return self.head(self.norm(self.wide(x.flatten(1))))",
    "self.wide, self.norm = nn.Linear(64, 64), nn.RMSNorm(64)",
)
TWO_TEACHERS = TINY.replace("[16], ", "[16], members = 2, ")
LOSS = TINY.replace("baseline", 'losses = [{ name = "mine:Loss" }], baseline')
MODELS = (
    bad("a checkpoint cut short", PT, "teacher.pt is damaged or no torch checkpoint", 1, faults.truncated_checkpoint),
    bad(
        "a checkpoint that is text", PT, "teacher.pt is damaged or no torch checkpoint", 1,
        file("teacher.pt", "weights"),
    ),
    bad(
        "an empty checkpoint", PT, "teacher.pt is damaged or no torch checkpoint (0 bytes)", 1,
        file("teacher.pt", ""),
    ),
    bad(
        "a checkpoint that is text, checked", f"{CHECK} --set teacher.checkpoint=teacher.pt",
        "teacher.pt is damaged or no torch checkpoint", 1,
        file("teacher.pt", "weights"),
    ),
    bad("code in a checkpoint", PT, "teacher.pt holds pickled code", 1, faults.trapped_checkpoint),
    bad("code in an old checkpoint", PT, "teacher.pt holds pickled code", 1, faults.trapped_pickle),
    bad(
        "a checkpoint of other shapes", f"{PT} --set teacher.hidden=[8]",
        "layers.1.weight (16, 64) instead of (8, 64)", 1,
        weights(lambda w: w),
    ),
    bad(
        "a checkpoint with keys missing", PT, "it lacks layers.3.weight, layers.3.bias", 1,
        weights(faults.without_head),
    ),
    bad(
        "a checkpoint of another network", PT, "it lacks layers.1.weight, layers.1.bias, layers.3.weight", 1,
        weights(lambda w: {"conv.weight": w["layers.1.weight"]}),
    ),
    bad(
        "a checkpoint without tensors", PT, "teacher.pt holds no weights, but epoch", 1,
        weights(lambda w: {"epoch": 3}),
    ),
    bad("NaN in a checkpoint", PT, "not finite in layers.1.weight", 1, weights(faults.with_nan_weight)),
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
        "for rpi4: layer norm (rms_norm, mine.py:13) has no int8 form", 1,
        both(RMS_NORM, student('model = "mine:Net"')),
    ),
    bad(
        "an operator without a writer, built", BUILD, "nn.BatchNorm2d", 1,
        both(RMS_NORM, student('model = "mine:Net"')),
    ),
    bad(
        "a layer that is not there, checked", CHECK, "the student has no layer 'layer.1'", 2,
        config(TINY.replace("baseline", 'losses = [{ name = "hints", layers = ["layer.1:layers.1"] }], baseline')),
    ),
    bad(
        "layers of a teacher that shows none, checked", CHECK, "'hints' needs the teacher's layers", 2,
        config(TWO_TEACHERS.replace("baseline", 'losses = [{ name = "hints" }], baseline')),
    ),
    bad(
        "a scheme for a teacher that shows its layers, checked", CHECK, "'stream' needs the teacher as a torch network",
        2, config(TWO_TEACHERS.replace("baseline", 'scheme = { name = "stream", windows = 1 }, baseline')),
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
