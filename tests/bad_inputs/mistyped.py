"""Mistyped settings, targets, names and options."""

from support.faults import both, file, module

from bad_inputs.row import BUILD, CHECK, bad, config
from edgekd.config.targets import names

SETS = f"{CHECK} --set data.name=mine:waves"
OWN = "--set student.model=mine:Net --set student.hidden="

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
    bad("no target", "build", f"--target is missing; edgekd has {', '.join(names())}", 2),
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
        "a module that imports what is no Python", f"explain --target rpi4 {OWN}",
        "layers.py can't be read as Python", 2,
        both(module("import layers\n\ndef Net(hidden): ..."), file("layers.py", "def")),
    ),
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
