"""Faults of disks, folders, the store, and the files of a finished build."""

from pathlib import Path

from support import faults
from support.faults import both, damage, mounted

from bad_inputs.row import BUILD, bad

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
        "damaged work that would be reused", "explain --target rpi4", "weights.pt has 3 bytes instead of", 1,
        damage(".edgekd/teacher/*/model/weights.pt", b"abc"),
    ),
    bad(
        "damaged work in a folder with a space", f"{BUILD} --store 'my store'", "try: rm -r '/", 1,
        both(faults.spaced_store, damage("my store/teacher/*/model/weights.pt", b"abc")),
    ),
    bad(
        "a damaged record in the store", BUILD, "artifact.json can't be read", 1,
        damage(".edgekd/distill/*/artifact.json", b"{"),
    ),
    bad(
        "a TFLite file that was tampered with", "verify --target rpi4",
        "model.tflite in build/rpi4 is not the file that was built", 5,
        faults.flip_a_weight,
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
