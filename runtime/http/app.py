"""Puts the HTTP door together: operations, pages, answers to faults, headers."""

from importlib.metadata import version as distribution_version
from typing import Any

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from fastapi.telemetry import TelemetryConfig

from runtime.http.answers import install_answers
from runtime.http.api import audit, gate, health, metrics, schemas, tokens
from runtime.http.api.around import questions, retention, webhooks
from runtime.http.api.jobs import jobs, results
from runtime.http.api.many import batches, bulk, job_lists, submissions
from runtime.http.api.models.views import ProblemDocument
from runtime.http.api.packages import evidence, packages, simple, wheelhouse
from runtime.http.api.when import dead_letters, pauses, queue, schedules
from runtime.http.bodies.bounded_bodies import BoundedBodies
from runtime.http.conditional import Conditional
from runtime.http.entrance.description import described
from runtime.http.entrance.host_names import HostNames
from runtime.http.entrance.identity import Identify
from runtime.http.entrance.operations import asked_first
from runtime.http.entrance.other_origins import OtherOrigins
from runtime.http.entrance.proxies import Proxies
from runtime.http.middleware import Heads, RequestIds, SameSite
from runtime.http.pages import access as access_page
from runtime.http.pages import audit as audit_page
from runtime.http.pages import login, oidc, pages
from runtime.http.pages.rendering import Templates
from runtime.http.services import Services

DESCRIPTION = """Runs other people's packages without breathing them in.

Upload a bundle, activate a version, submit jobs, follow their events, fetch outputs and the
artifact. Every fault is `application/problem+json` with one problem per fault, each with its
place and its mend.
"""
SILENT: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "auto_configure": False,
}
"""FastAPI tells any provider of the process of each request, its query and its exceptions: a link
that logs in among them. What we tell is in `runtime.telemetry`."""

DOORS = (
    packages,
    evidence,
    jobs,
    job_lists,
    submissions,
    batches,
    questions,
    webhooks,
    bulk,
    retention,
    results,
    gate,
    wheelhouse,
    audit,
    tokens,
    schemas,
    simple,
    health,
    metrics,
    schedules,
    pauses,
    queue,
    dead_letters,
)
"""The modules of the API's operations, in the order in which they are asked for a path."""

PAGES = (pages, login, access_page, audit_page, oidc)
"""The modules of the pages' operations, asked after these."""


def make_app(services: Services) -> FastAPI:
    """Return the application, whose operations ask for what is in `services`."""
    app = FastAPI(
        title="Fumehood",
        description=DESCRIPTION,
        telemetry=SILENT,
        version=distribution_version("fumehood"),
        docs_url=None,  # FastAPI's loads from a CDN; ours is runtime.http.pages
        redoc_url=None,
        openapi_url=None,  # ours too, beside the event loop
        routes=[asked_first(route) for door in (*DOORS, *PAGES) for route in door.router.routes],
    )
    app.state.services = services
    app.state.templates = Templates()
    app.mount("/static", StaticFiles(directory=pages.STATIC))
    install_answers(app)
    _describe(app)
    _put_before(app, services=services)
    return app


def _put_before(app: FastAPI, *, services: Services) -> None:
    """Put before every operation what each request goes through; the last one is the outermost."""
    settings = services.settings
    origins = frozenset(settings.cors_origins)
    app.add_middleware(BoundedBodies)
    app.add_middleware(Conditional)
    app.add_middleware(Identify, access=services.access)
    app.add_middleware(SameSite, origins=origins)
    app.add_middleware(HostNames, names=services.access.names)
    if origins:
        app.add_middleware(OtherOrigins, origins=origins)
    app.add_middleware(RequestIds)
    app.add_middleware(Heads)
    if settings.proxies or settings.proxy_socket:
        app.add_middleware(
            Proxies,
            networks=settings.proxies,
            is_rfc_7239=settings.proxy_fields == "Forwarded",
        )


def _describe(app: FastAPI) -> None:
    describe = app.openapi

    def whole() -> dict[str, Any]:
        if app.openapi_schema is None:
            described(
                describe(), problem=ProblemDocument
            )  # it is kept by the application, and filled in once
        return describe()

    app.openapi = whole
