"""Shows the whole idea at work: the examples uploaded, activated, run on real documents.

Started by scripts/run, which has set everything up. It uses the appliance as anybody would:
the console script starts it, HTTP does the rest.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table

from runtime.cli.client import connected
from runtime.cli.input.bundle_zip import bundle_file
from runtime.cli.output.remote_faults import RemoteFault
from runtime.client import operations
from runtime.client.client import Client
from runtime.client.views import ActivationView, VersionDetail

PROJECT = Path(__file__).resolve().parent.parent
EXAMPLES = PROJECT / "packages" / "examples"
HOME = Path(os.environ["FUMEHOOD_HOME"])
FUMEHOOD = Path(sys.executable).with_name("fumehood")
PARAMETERS = {"hello": {"name": "newcomer", "greeting": "Welcome"}}
INPUTS = {
    "hello": PROJECT / "README.md",
    "spreadsheet": EXAMPLES / "inputs" / "cpython-releases.xlsx",
    "pdf-text": EXAMPLES / "inputs" / "apache-license.pdf",
}
MISSING_CODES = frozenset({"not-in-wheelhouse", "gate-closed", "no-version-satisfies"})


class ShowFailed(Exception):
    """A step of the show did not work; the text says which and what to do."""


@dataclass
class Show:
    """What the run tells, and what it collects for --json."""

    console: Console
    artifacts: list[dict[str, Any]] = field(default_factory=list)
    outputs: list[dict[str, Any]] = field(default_factory=list)


def main() -> int:
    """Run the show; return the exit code."""
    options = read_options()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda got, _frame: sys.exit(128 + got))
    for name in ("FUMEHOOD_URL", "FUMEHOOD_TOKEN"):
        os.environ.pop(name, None)  # the appliance of this home answers at its socket
    show = Show(Console(stderr=True, quiet=options.json))
    try:
        report_walls(show)
        with appliance(options.port) as url, connected() as client:
            for name in INPUTS:
                make_active(show, client, name)
            for name, document in INPUTS.items():
                run_job(show, client, name, document)
            tell_command(show)
            if options.json:
                print(json.dumps({"artifacts": show.artifacts, "outputs": show.outputs}, indent=2))
            if not options.once:
                stay(show, url, login=url + client.ask(operations.make_link())["path"])
    except (ShowFailed, RemoteFault) as fault:
        tell_fault(fault)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def read_options() -> argparse.Namespace:
    """Return the options; scripts/run --help describes them."""
    parser = argparse.ArgumentParser(prog="scripts/run", add_help=False)
    parser.add_argument("--once", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--port", type=int)
    options = parser.parse_args()
    if options.json and not options.once:
        parser.error("--json needs --once")
    return options


def report_walls(show: Show) -> None:
    """Try the walls of this host and say what is missing, before anything runs."""
    command = [FUMEHOOD, "doctor", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        found = json.loads(done.stdout)
    except ValueError:
        raise ShowFailed(f"fumehood doctor did not answer: {done.stderr.strip()}") from None
    show.console.print(f"Walls on this host: level [bold]{found['level']}[/bold]")
    for finding in found["findings"]:
        if not finding["held"]:
            show.console.print(f"  [yellow]✘ {finding['layer']}[/yellow]: {finding['detail']}")
            show.console.print(f"    {finding['mend']}")
    if done.returncode != 0:
        raise ShowFailed("this host cannot build the walls that are demanded; see above")


@contextmanager
def appliance(port: int | None) -> Iterator[str]:
    """Start the appliance as anybody would, and stop it at the end."""
    wanted = str(port if port is not None else free_or(8800))
    log_path = HOME / "appliance.log"
    with log_path.open("ab") as log:
        process = subprocess.Popen(
            [FUMEHOOD, "up", "--json", "--port", wanted], stdout=subprocess.PIPE, stderr=log
        )
    assert process.stdout is not None
    try:
        first = process.stdout.readline()
        if not first:
            process.wait()
            said = log_path.read_text(errors="replace").strip().splitlines()[-3:]
            raise ShowFailed("the appliance did not start:\n  " + "\n  ".join(said))
        yield json.loads(first)["url"]
    finally:
        process.terminate()
        process.wait()


def free_or(port: int) -> int:
    """Return `port` if nobody listens there, else 0 for any free one."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return 0
    return port


def make_active(show: Show, client: Client, name: str) -> None:
    """Upload and activate an example; fetch its wheels through the gate if they are missing."""
    with bundle_file(EXAMPLES / name) as archive:
        version = client.ask(operations.upload_package(archive.read_bytes()))
    if version["is_active"]:
        show.console.print(f"[green]✔[/green] {name} {version['version']} is active already")
        return
    activation = activate(client, version)
    if activation["state"] == "failed" and lacks_wheels(activation):
        show.console.print(f"  {name}: wheels are missing; opening the network gate to fetch them")
        with open_gate(client):
            activation = activate(client, version)
    if activation["state"] != "succeeded":
        told = "\n".join(f"  {p['what']}\n    {p['mend']}" for p in activation["problems"])
        raise ShowFailed(f"{name} did not become active:\n{told}")
    show.console.print(f"[green]✔[/green] {name} {version['version']} is active")


def activate(client: Client, version: VersionDetail) -> ActivationView:
    """Ask for the activation and wait for its end."""
    name, number = version["package"], version["version"]
    activation = client.ask(operations.activate_version(name, number, reason="scripts/run"))
    while activation["state"] not in {"succeeded", "failed"}:
        time.sleep(0.1)
        activation = client.ask(operations.get_activation(activation["id"]))
    return activation


def lacks_wheels(activation: Mapping[str, Any]) -> bool:
    """Say whether the activation failed for want of wheels."""
    return any(problem["code"] in MISSING_CODES for problem in activation["problems"])


@contextmanager
def open_gate(client: Client) -> Iterator[None]:
    """Open the network gate for as long as it takes, with a reason for the audit log."""
    reason = "scripts/run fetches the examples' wheels"
    seen = client.tagged(operations.get_gate())
    client.ask(operations.open_gate(reason, if_match=seen.tag))
    try:
        yield
    finally:
        client.ask(operations.close_gate(reason="they are here"))


def run_job(show: Show, client: Client, name: str, document: Path) -> None:
    """Submit a job, show its progress live, then what it left and what is on record."""
    sent = operations.Input(name=document.name, content=document.read_bytes())
    wish = operations.submit_job(name, parameters=PARAMETERS.get(name, {}), inputs=[sent])
    job = client.ask(wish)
    watch(show, client, job["id"], name)
    job = client.ask(operations.get_job(job["id"]))
    artifact = client.ask(operations.get_artifact(job["id"]))
    if job["state"] != "succeeded":
        what = job["error"]["what"] if job["error"] else ""
        raise ShowFailed(f"the job of {name} {job['state']}: {what}")
    show.artifacts.append(artifact)
    saved = save_outputs(client, job["id"], name)
    show.outputs.extend(saved)
    tell_result(show, name, artifact, saved)


def watch(show: Show, client: Client, job_id: str, name: str) -> None:
    """Show a job's events as they happen."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn())
    with Progress(*columns, console=show.console, transient=True) as progress:
        task = progress.add_task(name, total=None)
        for event in client.follow(job_id):
            data = event["data"]
            if event["event"] == "job.progress":
                said = f"{name}: {data['message']}"
                progress.update(task, completed=data["done"], total=data["total"], description=said)
            elif event["event"] == "job.phase" and data["state"] == "started":
                progress.update(task, description=f"{name}: {data['phase']}")


def save_outputs(client: Client, job_id: str, name: str) -> list[dict[str, Any]]:
    """Fetch every output to the data folder; return what there is."""
    saved: list[dict[str, Any]] = []
    for output in client.every(operations.list_outputs(job_id)):
        file = HOME / "first-run" / name / output["path"]
        client.save(operations.get_output(job_id, output["path"]), to=file)
        saved.append({"job": job_id, "package": name, "file": str(file), **output})
    return saved


def tell_result(
    show: Show, name: str, artifact: Mapping[str, Any], saved: list[dict[str, Any]]
) -> None:
    """Show outputs, installed versions and walls of one job."""
    table = Table(title=f"{name}: {artifact['state']}", title_justify="left", show_header=False)
    table.add_row("result", json.dumps(artifact["result"], ensure_ascii=False))
    for output in saved:
        table.add_row("output", f"{output['file']} ({output['size_bytes']:,} bytes)")
    installed = artifact["environment"]["installed"]
    versions = ", ".join(f"{item['name']} {item['version']}" for item in installed)
    table.add_row("installed", versions or "nothing: it has no requirements")
    isolation = artifact["isolation"]
    walls = ", ".join(layer["name"] for layer in isolation["layers"] if layer["in_force"])
    table.add_row("walls", f"{isolation['level']}, {isolation['start']} start: {walls}")
    usage = artifact["usage"]
    spent = f"{usage['wall_ms']:.1f} ms, {usage['peak_rss_bytes'] / 2**20:.0f} MiB at most"
    table.add_row("usage", spent)
    show.console.print(table)


def tell_command(show: Show) -> None:
    """Say where the command line is, for what comes next."""
    show.console.print(f"\nThe command is {FUMEHOOD}; to have it at hand:", soft_wrap=True)
    show.console.print(f'  export PATH="{FUMEHOOD.parent}:$PATH"', soft_wrap=True)


def stay(show: Show, url: str, *, login: str) -> None:
    """Keep serving until Ctrl-C."""
    show.console.print(f"\nThe appliance serves [bold]{url}[/bold] – its page shows these jobs.")
    show.console.print("This link logs a browser in, once, within ten minutes:")
    show.console.print(f"  {login}", soft_wrap=True, highlight=False)
    show.console.print("`fumehood login` prints another one.")
    show.console.print("Ctrl-C stops it; `scripts/run --clean` removes everything it made.")
    while True:
        time.sleep(3600)


def tell_fault(fault: ShowFailed | RemoteFault) -> None:
    """Say on stderr what went wrong, also where --json keeps stdout pure."""
    print(f"scripts/run: {fault}", file=sys.stderr)
    if isinstance(fault, RemoteFault):
        for problem in fault.fault.problems:
            print(f"  {problem.where}: {problem.what}\n    {problem.mend}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
