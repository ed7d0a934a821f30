"""What a program may rely on outside holds in a cell: cold and warm, at every level."""

from collections.abc import Callable

import pytest

STARTS = pytest.mark.parametrize("start", ["cold", "warm"])


@STARTS
async def test_files_are_renamed_and_linked_between_scratch_and_outputs(run: Callable):
    code = """
    import os, shutil, tempfile
    from pathlib import Path
    def extract(*, job, **_):
        for number, move in enumerate((os.rename, os.replace, shutil.move, os.link)):
            made = Path(job.scratch_dir) / f"made{number}"
            made.write_text(str(number))
            move(made, Path(job.output_dir) / f"kept{number}")
        with tempfile.NamedTemporaryFile(delete=False) as file:
            file.write(b"4")
        os.replace(file.name, Path(job.output_dir) / "kept4")
        os.replace(Path(job.output_dir) / "kept4", Path(job.scratch_dir) / "back")
        os.replace(Path(job.scratch_dir) / "back", Path(job.output_dir) / "kept4")
    """
    outcome = await run(code)
    assert outcome.is_ok, outcome.failure
    assert [output.path for output in outcome.outputs] == [f"kept{n}" for n in range(5)]


@STARTS
@pytest.mark.parametrize(("folder", "limit"), [("output", "output_mb"), ("scratch", "scratch_mb")])
async def test_neither_folder_takes_the_part_of_the_other(run: Callable, folder, limit):
    """They share a file system that is as large as both: each limit is looked at by itself."""
    code = f"""
    import os, time
    def extract(*, job, **_):
        with open(os.path.join(str(job.{folder}_dir), "big"), "wb") as file:
            for _ in range(12):
                file.write(bytes(1 << 20))
                file.flush()
        time.sleep(5)
    """
    outcome = await run(code, output_mb=8, scratch_mb=8)
    assert outcome.failure is not None and outcome.failure.limit == limit, outcome
    assert outcome.failure.limit_value == 8


@STARTS
async def test_many_names_of_one_file_are_held_once(run: Callable):
    code = """
    import os, time
    def extract(*, job, **_):
        first = os.path.join(str(job.scratch_dir), "0")
        with open(first, "wb") as file:
            file.write(bytes(5 << 20))
        for number in range(1, 9):
            os.link(first, os.path.join(str(job.scratch_dir), str(number)))
        with open(os.path.join(str(job.output_dir), "big"), "wb") as file:
            file.write(bytes(5 << 20))
        time.sleep(0.5)
        return "done"
    """
    outcome = await run(code, output_mb=8, scratch_mb=8)
    assert outcome.value == "done", outcome.failure


@STARTS
async def test_it_finds_the_tools_that_programs_look_for(run: Callable):
    code = """
    import ctypes.util, getpass, mimetypes, os, shutil, subprocess
    def extract(*, job, **_):
        return [
            getpass.getuser(), ctypes.util.find_library("c"), mimetypes.guess_type("a.docx")[0],
            subprocess.run("echo hi | tr h H", shell=True, capture_output=True, text=True).stdout,
            [shutil.which(name) is None for name in ("sh", "env", "cat")],
            sorted(name for name, value in os.environ.items() if value.startswith(("/root", "/home"))),
        ]
    """
    outcome = await run(code)
    document = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    assert outcome.value == ["cell", "libc.so.6", document, "Hi\n", [False] * 3, []], outcome


@STARTS
async def test_its_children_find_what_it_finds(run: Callable):
    code = """
    import subprocess, sys
    def tell(*arguments):
        done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True)
        return [done.returncode, done.stdout.strip(), done.stderr]
    def extract(*, job, **_):
        return [
            tell("-c", "import extract, sys; print(extract.__name__, sys.flags.isolated)"),
            tell("-m", "extract"),
            subprocess._args_from_interpreter_flags(),
            sys.flags.isolated, sys.flags.hash_randomization,
        ]
    """
    outcome = await run(code)
    assert outcome.value == [[0, "extract 0", ""], [0, "", ""], [], 0, 1], outcome


@STARTS
async def test_it_is_told_of_as_many_processors_as_it_may_use(run: Callable):
    code = """
    import os
    def extract(*, job, **_):
        return [os.cpu_count(), len(os.sched_getaffinity(0)), os.environ["PYTHON_CPU_COUNT"]]
    """
    outcome = await run(code, cpus=1)
    assert outcome.value == [1, 1, "1"], outcome.failure
