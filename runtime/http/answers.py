"""Answers every exception of ours as application/problem+json (RFC 9457)."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from packages.errors import PackageError
from runtime.access.operations import methods_at
from runtime.faults.errors import Malformed, NotFound, RuntimeFault
from runtime.faults.outages import outage_of
from runtime.problem_table import TABLE, Answer, Fault, fault_of
from sandbox.errors import SandboxError
from wheelhouse.errors import WheelhouseError
from wheelhouse.problem import Problem

MEDIA_TYPE = "application/problem+json"
BY_STATUS: Mapping[int, str] = {
    400: "malformed",
    404: "not-found",
    405: "method-not-allowed",
    413: "too-large",
    415: "unknown-media-type",
}

log = logging.getLogger("fumehood.api")


def install_answers(app: FastAPI) -> None:
    """Make every fault of `app` answer as problem+json."""
    for family in (RuntimeFault, PackageError, WheelhouseError, SandboxError):
        app.add_exception_handler(family, _answer)
    for kind in (OSError, DBAPIError):
        app.add_exception_handler(kind, _answer_outage)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(HTTPException, _answer_http)
    app.add_exception_handler(ClientDisconnect, _answer_gone)
    app.add_exception_handler(Exception, _answer_bug)


async def _answer(request: Request, error: Exception) -> Response:
    fault = fault_of(error)
    request.app.state.services.meter.tally.refused(fault.code)
    return problem_response(fault, request=request)


async def _answer_bug(request: Request, error: Exception) -> Response:
    log.exception("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem_response(fault_of(error), request=request)


async def _answer_outage(request: Request, error: Exception) -> Response:
    """Tell of what the disk or the database refused us; anything else is a bug of ours."""
    if outage_of(error) is None:
        raise error
    log.error("%s %s was not done", request.method, request.url.path, exc_info=error)
    return problem_response(fault_of(error), request=request)


async def _answer_gone(request: Request, error: Exception) -> Response:
    return problem_response(fault_of(Malformed("The request broke off")), request=request)


async def _answer_invalid(request: Request, error: Exception) -> Response:
    faults: Sequence[Any] = error.errors() if isinstance(error, RequestValidationError) else ()
    problems = tuple(
        Problem(
            code="invalid-value",
            what=str(fault["msg"]),
            where=": ".join([str(fault["loc"][0]), ".".join(map(str, fault["loc"][1:]))]),
            mend="see /docs for what this operation takes",
        )
        for fault in faults
    )
    refused = fault_of(RuntimeFault("The request does not fit this operation", problems=problems))
    answer = TABLE["input-refused"]
    return problem_response(replace(refused, code="input-refused", answer=answer), request=request)


async def _answer_http(request: Request, error: Exception) -> Response:
    status, detail = 500, str(error)
    headers: Mapping[str, str] = {}
    if isinstance(error, HTTPException):
        status, detail, headers = error.status_code, str(error.detail), error.headers or {}
    if status == 404:
        fault = fault_of(
            NotFound(f"There is nothing at {request.url.path}", mend="see /docs for what there is")
        )
    else:
        fault = _plain(BY_STATUS.get(status, "runtime-fault"), detail, status=status)
    if status == 405:  # a router that knows one method only tells of that one
        headers = {"Allow": ", ".join(methods_at(request.url.path) or ("GET", "HEAD"))}
    return problem_response(fault, request=request, headers=headers)


def _plain(code: str, what: str, *, status: int) -> Fault:
    problem = Problem(code=code, what=what, where="request", mend="see /docs")
    answer = TABLE.get(code, TABLE["runtime-fault"])
    answer = Answer(status=status, exit_code=answer.exit_code)
    return Fault(code=code, what=what, problems=(problem,), answer=answer)


def problem_response(
    fault: Fault, *, request: Request, headers: Mapping[str, str] | None = None
) -> Response:
    """Return the response that tells of `fault`."""
    sent = dict(headers or {})
    if fault.retry_after_s is not None:
        sent["Retry-After"] = str(fault.retry_after_s)
    document = fault.to_document(instance=request.url.path)
    if request_id := getattr(request.state, "request_id", ""):
        document["request_id"] = request_id
    return JSONResponse(
        document, status_code=fault.answer.status, headers=sent, media_type=MEDIA_TYPE
    )
