"""The tables on whole builds: results, time and memory."""

from benchmarks.boards.tables import rows, table

FORMS = ("tflite", "onnx", "simulation")


def main_job() -> str:
    """Return the table with the newest row of each data set, target and seed."""
    newest = {(row["data"], row["target"], row["seed"]): row for row in rows("main_job")}
    header = (
        "data, target, seed", "teacher", "int8 TFLite", "int8 ONNX", "teacher, float", "int8 TFLite file",
        "outputs that differ: TFLite, ONNX, simulation", "build",
    )  # fmt: skip
    cells = [
        (
            f"{row['data']}, {row['target']}, {row['seed']}",
            f"{row['teacher_accuracy']} %",
            f"{row['tflite_accuracy']} %",
            f"{row['onnx_accuracy']} %",
            f"{int(row['teacher_float_bytes']):,} B",
            f"{int(row['tflite_bytes']):,} B",
            f"{', '.join(row[f'{form}_differing'] for form in FORMS)} of {int(row['outputs']):,}",
            f"{float(row['build_s']):.0f} s",
        )
        for row in newest.values()
    ]
    return table(header, cells)


def startup() -> str:
    """Return the table with the newest row."""
    cells = [
        (row["what"], f"{row['median_s']} s", f"{row['lowest_s']} to {row['highest_s']} s")
        for row in rows("startup")[-1:]
    ]
    return table(("command", "median", "spread"), cells)


def first_run() -> str:
    """Return the table with the newest row."""
    cells = [
        (f"{row['install_s']} s", f"{row['build_s']} s", f"{row['make_test_s']} s, {row['tests_passed']} tests")
        for row in rows("first_run")[-1:]
    ]
    return table(("`make demo`: installing", "`make demo`: building", "then `make test`"), cells)


def small_batches() -> str:
    """Return the table with the newest row of each load."""
    newest = {row["busy_processes"]: row for row in rows("small_batches")}
    ways = ("one_thread_ms", "all_threads_ms", "all_threads_passive_ms")
    cells = [(row["busy_processes"], *(f"{row[way]} ms" for way in ways)) for row in newest.values()]
    return table(("busy processes beside it", "one thread", "all threads", "all threads, waiting passively"), cells)


def emulated_cores() -> str:
    """The newest row of each core."""
    newest = {row["core"]: row for row in rows("emulated_cores")}
    cells = [
        (
            row["core"],
            row["outputs_that_differ"],
            f"{float(row['instructions']):,.0f}",
            row["instructions_per_mac"],
            f"{row['flash_bytes']} B",
            f"{row['ram_bytes']} B, {row['stack_bytes']} of them stack",
            row["emulator"].rpartition(", ")[2],
        )
        for row in newest.values()
    ]
    header = ("core", "outputs that differ", "instructions", "for each MAC", "flash", "RAM", "board of QEMU")
    return table(header, cells)


TABLES = {
    "main_job": main_job,
    "startup": startup,
    "first_run": first_run,
    "small_batches": small_batches,
    "emulated_cores": emulated_cores,
}
