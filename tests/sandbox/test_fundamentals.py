"""What a run is: a tutorial that runs."""

import dataclasses
import os

import pytest

from sandbox.command import Ending, Folder, Level
from sandbox.errors import InputUnplaceableError, WallsMissingError
from sandbox.limits import Limits, limit_names


async def test_a_run_returns_what_its_function_returned(lab):
    outcome = await lab.run(lab.command("def extract(*, job, **_): return {'answer': 6 * 7}"))
    assert outcome.ending is Ending.RETURNED and outcome.is_ok
    assert outcome.value == {"answer": 42}


async def test_a_run_reads_its_inputs_and_leaves_outputs(lab):
    code = """
    def extract(*, job, **_):
        (path,) = job.inputs
        (job.output_dir / "nested").mkdir()
        (job.output_dir / "nested" / "copy.txt").write_text(path.read_text().upper())
        return path.name
    """
    command = lab.command(code, inputs=(lab.input("letter.txt", "dear reader"),))
    outcome = await lab.run(command)
    assert outcome.value == "letter.txt"
    (output,) = outcome.outputs
    assert (output.path, output.size_bytes) == ("nested/copy.txt", 11)
    assert (lab.outputs / "nested" / "copy.txt").read_text() == "DEAR READER"


async def test_a_run_reports_while_it_runs(lab):
    code = """
    import sys
    def extract(*, job, **_):
        job.progress(1, 3, "first of three")
        job.log("plain"); job.log.warning("mind this")
        job.event("page", number=7)
        print("to stdout"); print("to stderr", file=sys.stderr)
    """
    assert (await lab.run(lab.command(code))).is_ok
    assert lab.said("progress") == [{"done": 1, "total": 3, "message": "first of three"}]
    assert [line["level"] for line in lab.said("log")] == ["info", "warning"]
    assert lab.said("event") == [{"name": "page", "data": {"number": 7}}]
    assert lab.said("stdout") == [{"line": "to stdout"}]
    assert lab.said("stderr") == [{"line": "to stderr"}]


async def test_facts_arguments_secrets_and_variables_arrive(lab):
    code = """
    import os
    def extract(*, job, extra, **_):
        return [job.parameters, extra, job.secret("TOKEN"), os.environ["MODE"]]
    """
    command = lab.command(
        code,
        facts={"parameters": {"a": 1}},
        arguments={"extra": [2]},
        secrets={"TOKEN": "t0p"},
        variables={"MODE": "fast"},
    )
    assert (await lab.run(command)).value == [{"a": 1}, [2], "t0p", "fast"]
    assert "t0p" not in repr(command)


async def test_a_secret_that_was_not_granted_is_a_clear_fault(lab):
    outcome = await lab.run(lab.command("def extract(*, job, **_): return job.secret('X')"))
    assert outcome.ending is Ending.RAISED
    assert "secret 'X' was not granted" in outcome.failure.what


async def test_a_question_ends_the_run_and_the_answer_starts_it_anew(lab):
    code = """
    def extract(*, job, **_):
        return job.ask("colour", "Which colour?", {"type": "string"})
    """
    command = lab.command(code)
    asked = await lab.run(command)
    assert asked.ending is Ending.ASKED
    assert (asked.question.key, asked.question.prompt) == ("colour", "Which colour?")
    answered = await lab.run(dataclasses.replace(command, answers={"colour": "red"}))
    assert answered.value == "red"


async def test_a_run_sees_nothing_of_the_host(lab):
    code = """
    import os, pwd
    def extract(*, job, **_):
        return {
            "environment": sorted(os.environ), "root": sorted(os.listdir("/")),
            "etc": sorted(os.listdir("/etc")), "uid": os.getuid(), "host": os.uname().nodename,
            "processes": [name for name in os.listdir("/proc") if name.isdigit()],
            "devices": sorted(os.listdir("/dev")), "user": pwd.getpwuid(os.getuid()).pw_name,
            "descriptors": len(os.listdir("/proc/self/fd")),
        }
    """
    seen = (await lab.run(lab.command(code))).value
    assert seen["uid"] == 1000 and seen["host"] == "cell" and seen["user"] == "cell"
    own = {"group", "hostname", "hosts", "mime.types", "nsswitch.conf", "passwd"}
    assert own <= set(seen["etc"]) <= own | {"fonts", "ld.so.cache", "pki", "ssl"}
    assert "home" not in seen["root"] and "var" not in seen["root"]
    assert len(seen["processes"]) <= 2
    assert not {"sda", "kmsg", "mem", "tty"} & set(seen["devices"])
    assert not {"SSH_AUTH_SOCK", "VIRTUAL_ENV", "MAIL"} & set(seen["environment"])
    assert seen["descriptors"] == 5  # stdin, stdout, stderr, the channel, the listing itself


async def test_threads_follow_the_share_of_cpus(lab):
    code = "import os\ndef extract(*, job, **_): return os.environ['OMP_NUM_THREADS']"
    limits = dataclasses.replace(lab.command(code).limits, cpus=1.5)
    assert (await lab.run(lab.command(code, limits=limits))).value == "2"


async def test_every_wall_in_force_is_named(lab):
    outcome = await lab.run(lab.command("def extract(*, job, **_): return 1"))
    layers = {layer.name: layer for layer in outcome.isolation.layers}
    wanted = {"namespaces", "no network", "read-only root", "seccomp", "no capabilities"}
    assert all(layers[name].in_force for name in wanted | {"no new privileges", "rlimits"})
    assert layers["namespaces"].detail == "user mnt pid net ipc uts cgroup"
    assert layers["host user"].in_force  # not root outside, even where the worker is
    if os.geteuid() == 0:
        assert outcome.isolation.level is Level.FULL


async def test_what_was_used_is_measured(lab):
    code = """
    import time
    def extract(*, job, **_):
        held = bytearray(64 << 20); held[:] = b"x" * len(held)
        end = time.process_time() + 0.2
        while time.process_time() < end: pass
    """
    usage = (await lab.run(lab.command(code))).usage
    assert usage.wall_ms >= 200 and usage.cpu_ms >= 190
    assert usage.peak_rss_bytes >= 64 << 20


async def test_the_environments_files_come_last_and_the_bundles_first(lab, world):
    site = world / "environment" / "site-packages"
    (site / "hooks").mkdir(parents=True, exist_ok=True)
    (site / "hooks" / "__init__.py").write_text("raise RuntimeError('the wrong hooks')")
    (site / "library.py").write_text("VALUE = 5")
    (site / "added.pth").write_text("/environment/more\n")
    (world / "environment" / "more").mkdir(exist_ok=True)
    (world / "environment" / "more" / "extra.py").write_text("VALUE = 6")
    command = lab.command("import sys\n", target="hooks.on_activate:run")
    bundle = command.folders[0].source
    (bundle / "hooks").mkdir()
    (bundle / "hooks" / "on_activate.py").write_text(
        "import library, extra, sys\ndef run(*, job, **_): return [library.VALUE, extra.VALUE, sys.prefix]"
    )
    environment = Folder(
        name="environment",
        source=world / "environment",
        on_path=True,
        import_root="site-packages",
    )
    command = dataclasses.replace(command, folders=(*command.folders, environment))
    assert (await lab.run(command)).value == [5, 6, "/environment"]


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".", ".."])
async def test_an_input_must_have_a_plain_name(lab, name):
    item = dataclasses.replace(lab.input("fine", "x"), name=name)
    with pytest.raises(InputUnplaceableError):
        await lab.run(lab.command("def extract(**_): return 1", inputs=(item,)))


async def test_a_run_that_demands_more_than_there_is_is_refused(lab, monkeypatch):
    monkeypatch.setattr(lab.sandbox, "level", Level.PROCESS)
    with pytest.raises(WallsMissingError) as refused:
        await lab.run(lab.command("def extract(**_): return 1", least=Level.UNPRIVILEGED))
    assert "fumehood doctor" in refused.value.mend


@pytest.mark.parametrize("name", limit_names())
def test_a_limit_is_above_zero(name):
    with pytest.raises(ValueError, match=name):
        Limits(**{name: 0})


def test_limits_narrow_one_by_one():
    narrowed = Limits(wall_s=5, memory_mb=900).under(Limits(wall_s=9, memory_mb=100))
    assert (narrowed.wall_s, narrowed.memory_mb) == (5, 100)
