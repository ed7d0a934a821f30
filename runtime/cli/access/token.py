"""`fumehood token`: who else may use the appliance, and for what."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from runtime.access.tokens import TokenWish
from runtime.access.tokens import create as create_at_home
from runtime.cli.client import connected
from runtime.cli.input.spans import minutes_of
from runtime.cli.output.printing import AsJson, emit, facts, say_to_people, table
from runtime.client.operations import create_token, revoke_token, rotate_token, show_token
from runtime.client.operations import list_tokens as tokens_there
from runtime.faults.errors import NotFound
from runtime.home.local_user import local_user
from runtime.home.offline_database import in_home
from runtime.settings.settings import load
from runtime.values.clock import utc_now
from wheelhouse.times import rfc3339

app = typer.Typer(no_args_is_help=True, help="Make, list, rotate and revoke tokens.")
Name = Annotated[str, typer.Argument(help="The name of the token.")]
FACTS = (
    "name",
    "note",
    "scopes",
    "packages",
    "created_at",
    "created_by",
    "expires_at",
    "revoked_at",
    "rotated_at",
    "former_until",
    "used_at",
    "used_from",
    "requests_per_minute",
)


@app.command()
def create(
    name: Name,
    scope: Annotated[
        list[str], typer.Option("--scope", help="author, client, viewer, operator or admin.")
    ],
    package: Annotated[
        list[str] | None,
        typer.Option("--package", help="Only for this package, or prefix with *; repeatable."),
    ] = None,
    span: Annotated[str, typer.Option("--for", help="How long it is valid: 12h, 90d.")] = "",
    note: Annotated[str, typer.Option(help="What it is for.")] = "",
    rate: Annotated[
        int | None,
        typer.Option("--rate", min=1, help="Most requests in a minute, if not as for all."),
    ] = None,
    *,
    is_offline: Annotated[
        bool, typer.Option("--offline", help="Write it into the home itself, past the appliance.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a token and print it: it is never to be had again."""
    until = datetime.now(UTC) + timedelta(minutes=minutes_of(span)) if span else None
    wish = TokenWish(
        name=name,
        scopes=tuple(scope),
        packages=tuple(package or ()),
        note=note,
        expires_at=until,
        requests_per_minute=rate,
    )
    made = _made_at_home(wish) if is_offline else _made(wish)
    say_to_people(f"the token {made['name']} is shown now, and never again:")
    emit(made, as_json=as_json, show=lambda one: one["token"])


def _made(wish: TokenWish) -> Mapping[str, Any]:
    call = create_token(
        wish.name,
        scopes=wish.scopes,
        packages=wish.packages,
        note=wish.note,
        expires_at=rfc3339(wish.expires_at) if wish.expires_at else None,
        requests_per_minute=wish.requests_per_minute,
    )
    with connected() as client:
        return client.ask(call)


def _made_at_home(wish: TokenWish) -> Mapping[str, Any]:
    settings = load().settings
    made = in_home(
        settings,
        create_at_home,
        wish=wish,
        who=f"local:{local_user()}",
        at=utc_now(),
        origin={"from": "home"},
    )
    if made is None:
        raise NotFound(
            f"No appliance has run in {settings.home} yet",
            where=str(settings.home),
            mend="start one with `fumehood up`, or set FUMEHOOD_HOME to the home of one",
        )
    token, text = made
    return {"name": token.name, "token": text}


@app.command("list")
def list_tokens(*, as_json: AsJson = False) -> None:
    """List the tokens: what each may do, and when it was last used."""
    with connected() as client:
        found = client.ask(tokens_there())["items"]
    columns = ("name", "scopes", "packages", "expires_at", "revoked_at", "used_at", "used_from")
    emit(found, as_json=as_json, show=lambda rows: table(rows, columns=columns))


@app.command()
def show(name: Name, *, as_json: AsJson = False) -> None:
    """Show a token, without its text."""
    with connected() as client:
        emit(client.ask(show_token(name)), as_json=as_json, show=_facts)


@app.command()
def revoke(name: Name, *, as_json: AsJson = False) -> None:
    """End a token, and the sessions that began with it, at once."""
    with connected() as client:
        emit(client.ask(revoke_token(name)), as_json=as_json, show=_facts)


@app.command()
def rotate(
    name: Name,
    overlap: Annotated[
        str, typer.Option("--overlap", help="How long the former one stays valid: 0m, 1h, 7d.")
    ] = "1d",
    *,
    as_json: AsJson = False,
) -> None:
    """Print another text for a token; the former one stays valid for a while."""
    minutes = int(minutes_of(overlap))
    with connected() as client:
        seen = client.tagged(show_token(name))
        made = client.ask(rotate_token(name, if_match=seen.tag, overlap_minutes=minutes))
    say_to_people(f"the former one is valid until {made['former_until']}; the new one:")
    emit(made, as_json=as_json, show=lambda one: one["token"])


def _facts(token: Mapping[str, Any]) -> str:
    return facts(token, names=FACTS)
