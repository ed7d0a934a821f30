"""`fumehood try`: bundles that say and leave odd things, and inputs that nobody has tried."""

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from textwrap import indent
from typing import Any

import pytest
from support.preloaded.starting import start

from ..conftest import BUNDLES, run_command

STEERING = "\x1b[2J\x9b31m\r\u202egpj.exe\u2066"

type Try = Callable[..., CompletedProcess[str]]


@pytest.fixture
def try_(tmp_path: Path) -> Try:
    """Offer to try a bundle whose extract has this body, with more words and manifest fields.

    `before` is code of its module that stands before the function.
    """

    def run(
        body: str, *words: str | Path, before: str = "", **fields: Any
    ) -> CompletedProcess[str]:
        folder = tmp_path / "bundle"
        folder.mkdir(exist_ok=True)
        manifest = {"schema": 1, "name": "odd", "version": "1.0", **fields}
        (folder / "manifest.json").write_text(json.dumps(manifest))
        code = f"{before}\ndef extract(*, job, **_):\n{indent(body, '    ')}\n"
        (folder / "extract.py").write_text(code, encoding="utf-8")
        environ = {"FUMEHOOD_HOME": str(tmp_path / "home")}
        return run_command("try", folder, *words, environ=environ)

    return run


def test_what_a_package_says_does_not_steer_the_terminal(try_: Try):
    told = try_(f"raise ValueError({STEERING!r})")
    assert told.returncode == 1, told.stderr
    assert r"\x1b[2J\x9b31m\r\u202egpj.exe\u2066" in told.stdout
    assert not set(told.stdout + told.stderr) & set("\x1b\x9b\r\u202e\u2066")
    value = try_(f"return {STEERING!r}", "--json")
    assert json.loads(value.stdout)["result"] == STEERING
    assert not set(value.stdout) & set("\x1b\x9b\r\u202e\u2066")


def test_what_a_package_says_makes_no_line_of_ours(try_: Try):
    name = "made\nstate      succeeded"
    body = f"""
job.log.info({name!r})
(job.output_dir / {name!r}).touch()
job.event({name!r})
raise ValueError({name!r})
""".strip()
    told = try_(body)
    assert told.returncode == 1
    lines = (told.stdout + told.stderr).splitlines()
    assert [one for one in lines if one.startswith("state ")] == ["state      failed"], told


@pytest.mark.parametrize(
    ("limit", "value", "body"),
    [
        ("log_lines", 12_000, "for at in range(11_000): print()"),
        ("log_kb", 3072, "for _ in range(50): print('x' * 40_000)"),
        ("result_kb", 4096, "return 'x' * (2 << 20)"),
        ("output_files", 12_000, "for n in range(10_500): (job.output_dir / str(n)).touch()"),
    ],
)
def test_each_limit_that_is_named_may_be_raised_as_the_mend_says(
    try_: Try, limit: str, value: int, body: str
):
    small = json.loads(try_(body, "--json").stdout)
    assert small["error"]["limit"] == limit
    assert f"raise limits.{limit} in the manifest" in small["error"]["mend"]
    assert try_(body, "--json", limits={limit: value}).returncode == 0


def test_a_limit_that_no_run_could_live_with_is_refused_before_it_runs(try_: Try):
    told = try_("return 1", limits={"open_files": 3})
    assert told.returncode == 3, told.stderr
    assert "'open_files' is 3; it should be greater than or equal to 8" in told.stderr
    assert try_("return 1", limits={"open_files": 8}).returncode == 0


def test_a_limit_that_an_import_reached_is_named_too(try_: Try):
    body = """
from threading import Event, Thread
for _ in range(9): Thread(target=Event().wait, daemon=True).start()
"""
    told = try_("return 1", limits={"processes": 4}, before=body)
    assert told.returncode == 3
    assert "the limit on processes (processes = 4) was reached" in told.stderr


def test_a_module_that_is_not_there_is_told_with_where_it_would_come_from(try_: Try):
    told = try_("import no_such_module")
    assert "mend: name what brings that module in requirements.txt" in told.stdout


def test_an_honest_package_is_not_told_to_leave_the_runner_alone_first(try_: Try):
    told = try_("x = []\nfor _ in range(99): x = [x]\nreturn x")
    assert told.returncode == 1
    assert "nested deeper than 60" in told.stdout and "60 deep at most" in told.stdout
    assert "leave the runner" not in told.stdout


def test_what_a_run_says_is_shown_while_it_runs(try_: Try):
    told = try_("print('from print'); job.log.warning('from log'); job.progress(1, 2, 'half')")
    assert told.returncode == 0
    assert all(said in told.stderr for said in ("from print", "from log", "1 of 2 half"))
    assert "from print" not in told.stdout


def test_what_was_not_kept_is_said_beside_what_was(try_: Try):
    told = try_("(job.output_dir / 'a').touch(); (job.output_dir / 'link').symlink_to('a')")
    assert "outputs    a (0 bytes)" in told.stdout
    assert "not kept   link: a symbolic link" in told.stdout


def test_many_outputs_are_counted_not_listed(try_: Try):
    told = try_("for n in range(500): (job.output_dir / str(n)).touch()")
    assert "… and 480 more" in told.stdout


def test_a_hook_that_fails_is_said_where_the_job_succeeds(try_: Try, tmp_path: Path):
    hooks = tmp_path / "bundle/hooks"
    hooks.mkdir(parents=True)
    (hooks / "on_after_extract.py").write_text("def run(**_): raise ValueError('late')")
    told = try_("return 1")
    assert told.returncode == 0
    assert "on_after_extract failed (ValueError: late)" in told.stdout


def test_a_closed_gate_is_told_with_the_option_that_opens_it_here(try_: Try, tmp_path: Path):
    requirements = tmp_path / "bundle/requirements.txt"
    requirements.parent.mkdir()
    requirements.write_text("no-such-thing==1\n")
    told = try_("return 1")
    assert told.returncode == 3, told.stderr
    assert "`fumehood try … --open-gate 'install no-such-thing'`" in told.stderr
    assert "a try has a gate of its own" in told.stderr
    assert "fumehood gate open" not in told.stderr


def test_how_it_started_is_told_and_a_manifest_may_ask_for_cold(try_: Try):
    warm = try_("return 1")
    assert "jobs of this version start warm" in warm.stderr
    assert "start      warm" in warm.stdout
    cold = try_("return 1", start="cold")
    assert "jobs of this version start cold: the manifest asks for it" in cold.stderr
    assert "start      cold: the manifest asks for it (start)" in cold.stdout
    told = json.loads(try_("return 1", "--json", start="cold").stdout)
    assert told["isolation"]["start"] == "cold"


def test_what_keeps_a_version_cold_is_told_before_it_runs(try_: Try):
    before = (
        "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()"
    )
    told = try_("return 1", before=before)
    assert told.returncode == 0, told.stderr
    assert "jobs of this version start cold: " in told.stderr
    assert "let the function start them" in told.stderr
    assert "start      cold: " in told.stdout


@pytest.mark.parametrize(
    ("before", "said"),
    [
        ("import no_such_thing", "No module named 'no_such_thing'"),
        ("raise ValueError('not today')", "ValueError: not today"),
        ("import os; os._exit(3)", "exit(3)"),
        ("import sys; sys.exit('no')", "exit(1)"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
    ],
)
def test_an_import_that_fails_blocks_the_activation_with_its_traceback(
    try_: Try, before: str, said: str
):
    told = try_("return 1", before=before)
    assert told.returncode == 3, told.stderr
    assert "the entry point's module extract cannot be imported" in told.stderr
    assert said in told.stderr
    if "raise" in before or "no_such" in before:
        assert 'File "/bundle/extract.py", line 1' in told.stderr


def test_a_preload_that_is_not_there_is_told(try_: Try):
    told = try_("return 1", preload=["no_such_thing"])
    assert "jobs of this version start cold" in told.stderr
    assert "No module named 'no_such_thing'" in told.stderr


def test_what_the_author_should_look_at_again_is_told(try_: Try, tmp_path: Path):
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle/Requirements.txt").write_text("six\n")
    told = try_("return 1")
    assert told.returncode == 0
    assert "nothing reads Requirements.txt" in told.stderr


def test_a_link_to_an_input_is_followed(try_: Try, tmp_path: Path):
    (tmp_path / "words.txt").write_text("one two")
    (tmp_path / "link to it").symlink_to("words.txt")
    told = try_(
        "return {p.name: p.read_text() for p in job.inputs}", tmp_path / "link to it", "--json"
    )
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["result"] == {"link to it": "one two"}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("pipe", "it is neither a file nor a link to one"),
        ("caf\udce9.txt", r"'caf\udce9.txt' cannot be the name of an input"),
    ],
)
def test_what_cannot_be_an_input_is_refused_before_anything_runs(
    try_: Try, tmp_path: Path, name: str, words: str
):
    path = tmp_path / name
    os.mkfifo(path) if name == "pipe" else path.touch()
    told = try_("return 1", path)
    assert told.returncode == 3, told.stderr
    assert words in told.stderr and "Traceback" not in told.stderr


def test_a_place_that_cannot_take_the_outputs_is_refused_before_anything_runs(
    try_: Try, tmp_path: Path
):
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file/below", Path("/proc/outputs")):
        told = try_("print('it ran')", "-o", place)
        assert told.returncode == 2, told.stderr
        assert "Traceback" not in told.stderr and "it ran" not in told.stderr


def test_a_data_folder_that_cannot_be_written_to_is_said_to_be_so():
    environ = {"FUMEHOOD_HOME": "/proc/home"}
    told = run_command("try", BUNDLES / "counts-words", environ=environ)
    assert told.returncode == 2, told.stderr
    assert "/proc/home cannot hold our data" in told.stderr


def test_a_try_that_is_terminated_leaves_nothing_behind(tmp_path: Path):
    bundle = BUNDLES / "extract-hangs"
    environ = os.environ | {"FUMEHOOD_HOME": str(tmp_path / "home")}
    with start(["try", bundle], environ=environ, stderr=subprocess.PIPE) as trying:
        assert trying.stderr is not None
        for line in trying.stderr:
            if "extract started" in line:
                break
        mine = {
            path for path in Path("/var/tmp").glob("fumehood-try-*") if is_used(trying.pid, path)
        }
        trying.terminate()
    assert trying.returncode == 128 + signal.SIGTERM
    assert mine and not any(path.exists() for path in mine)


def is_used(pid: int, folder: Path) -> bool:
    """Say whether the process has something open in there: others may try at the same time."""
    opened = [os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()]
    return any(path.startswith(f"{folder}/") for path in opened)


LONG = """
import os

for n in range(3000):
    os.symlink("nowhere", job.output_dir / f"link-{n}-{'x' * 150}")
return {"notes": [{"n": n, "text": "x" * 900} for n in range(5_000)]}
"""


def test_what_a_package_makes_long_is_counted_and_the_artifact_stays_small(try_: Try):
    told = try_(LONG, "--json", limits={"result_kb": 8192})
    assert told.returncode == 0, told.stderr
    artifact = json.loads(told.stdout)
    assert (len(artifact["refusals"]), artifact["refused"]) == (100, 3_000)
    assert len(artifact["notes"]) + artifact["notes_dropped"] == 5_000
    assert len(json.dumps(artifact["notes"])) <= 80_000
    assert len(artifact["result"]["notes"]) == 5_000  # by result_kb, which the admin chose
    del artifact["result"]
    assert len(json.dumps(artifact)) < 200_000


def test_a_long_question_and_a_long_error_are_cut(try_: Try):
    for body in ("job.ask('k', 'p' * 60_000)", "raise ValueError('v' * (1 << 20))"):
        told = try_(body, "--json")
        assert told.returncode == 1, told.stderr
        error = json.loads(told.stdout)["error"]
        assert len(json.dumps(error)) < 30_000


def test_a_flood_of_faults_is_told_in_part_and_counted(tmp_path: Path):
    (tmp_path / "requirements.txt").write_text("--bad-option\n" * 4_000)
    manifest = {"schema": 1, "name": "odd", "version": "1.0"}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    told = run_command("try", tmp_path, "--json", environ={"FUMEHOOD_HOME": str(tmp_path / "h")})
    assert told.returncode == 3
    problems = json.loads(told.stderr)["problems"]
    assert len(problems) == 100, "as many as are told; the last counts the rest"
    assert "more" in problems[-1]["what"], problems[-1]


def test_a_bundle_grants_itself_nothing_by_a_settings_file_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    network = {"install": "never", "run": True}
    manifest = {"schema": 1, "name": "greedy", "version": "1.0", "network": network}
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    (bundle / "extract.py").write_text("def extract(**_):\n    return 1\n")
    (bundle / "fumehood.toml").write_text("run_network = true\nleast_level = 'process'\n")
    monkeypatch.chdir(bundle)
    environ = {"FUMEHOOD_HOME": str(tmp_path / "home")}
    told = run_command("try", ".", environ=environ)
    assert "fumehood.toml is not read" in told.stderr
    assert told.stderr.count("is not read") == 1
    assert "no network" in told.stdout

    named = environ | {"FUMEHOOD_CONFIG": str(bundle / "fumehood.toml")}
    told = run_command("try", ".", environ=named)
    assert f"settings are read from {bundle / 'fumehood.toml'}" in told.stderr
    assert "is not read" not in told.stderr


def test_what_on_activate_leaves_is_there_in_each_run_and_in_the_hook_after_it(
    try_: Try, tmp_path: Path
):
    hooks = tmp_path / "bundle/hooks"
    hooks.mkdir(parents=True)
    (hooks / "on_activate.py").write_text(
        "def run(*, context, **_):\n"
        "    assert context.data is None\n"
        "    (context.output_dir / 'model.txt').write_text('trained')\n"
        "    (context.output_dir / 'empty').mkdir()\n"
    )
    (hooks / "on_after_extract.py").write_text(
        "def run(*, context, **_):\n"
        "    (context.output_dir / 'mine.txt').write_text('x')\n"
        "    return {'notes': (context.data / 'model.txt').read_text()}\n"
    )
    told = try_("return (job.data / 'model.txt').read_text()", "--json")
    artifact = json.loads(told.stdout)
    assert (artifact["result"], artifact["notes"]) == ("trained", ["trained"])
    assert artifact["data"] and artifact["outputs"] == []
    assert "'empty' of on_activate is not kept: an empty folder" in told.stderr
    assert "on_after_extract left mine.txt in output_dir" in told.stderr


@pytest.mark.parametrize("gate", [(), ("--open-gate", "to see")], ids=["closed", "open"])
def test_a_bundle_is_prepared_once_though_it_is_begun_ahead(
    try_: Try, tmp_path: Path, gate: tuple[str, ...]
):
    """While the appliance is imported; with an open gate there is nothing to do ahead."""
    hooks = tmp_path / "bundle/hooks"
    hooks.mkdir(parents=True)
    hook = "def run(*, context, **_):\n    print('the hook runs')\n"
    (hooks / "on_activate.py").write_text(hook)
    told = try_("return 1", *gate, "--json", before="print('the import runs')")
    assert told.returncode == 0, told.stderr
    assert told.stderr.count("the hook runs") == 1
    assert told.stderr.count("jobs of this version start") == 1
    installed = json.loads(told.stdout)["install"]["gate"]
    assert installed["is_open"] is bool(gate)
    assert installed["reason"] == (gate[1] if gate else "closed by default")


def test_without_data_there_is_none_and_an_empty_folder_is_told(try_: Try):
    told = try_("(job.output_dir / 'empty').mkdir(); return job.data is None")
    assert "result     true" in told.stdout
    assert "not kept   empty: an empty folder; only files are kept" in told.stdout


def test_what_a_job_asks_is_answered_by_an_option(try_: Try):
    body = "return job.ask('currency', 'Which one?', {'enum': ['EUR', 'USD']})"
    unanswered = try_(body)
    assert unanswered.returncode == 1
    assert "asks for currency: Which one?" in unanswered.stderr
    answered = try_(body, "--answer", "currency=EUR", "--json")
    assert json.loads(answered.stdout)["result"] == "EUR", answered.stderr
    wrong = try_(body, "--answer", "currency=GBP")
    assert wrong.returncode == 3 and "GBP" in wrong.stderr
