"""What every operation has, whichever module it stands in: who may, how faults are described.

The application takes an operation as it is where it is written. FastAPI's `include_router` builds
each one again at the first request, to add what a router above it brings: a quarter of the start,
and half of the way from a request to its operation. And to build a hundred of them, with what they
take and answer, is a tenth of a start: each is built when it is first asked for, in 2 ms.
"""

from collections.abc import Callable, Sequence
from threading import RLock
from typing import Any

from fastapi import APIRouter, Depends
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, compile_path

from runtime.http.answers import MEDIA_TYPE
from runtime.http.context import parameters_of, with_services
from runtime.http.entrance.permission import permitted

PROBLEM = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}}
"""By name: FastAPI would make a model of it for each status of each operation."""
FAULTS: dict[int | str, dict[str, Any]] = {
    "4XX": {"description": "What was asked cannot be done.", "content": PROBLEM},
    "5XX": {"description": "The appliance cannot do it now.", "content": PROBLEM},
}


def operations(*, prefix: str = "", tags: Sequence[str] = ()) -> APIRouter:
    """Return what takes operations of the API, described in its schema."""
    return APIRouter(
        prefix=prefix,
        tags=list(tags),
        dependencies=[Depends(permitted)],
        responses=FAULTS,
        generate_unique_id_function=_operation_id,
        route_class=Operation,
    )


def page_operations() -> APIRouter:
    """Return what takes the operations of pages, which no client is told of."""
    return APIRouter(
        dependencies=[Depends(permitted)], include_in_schema=False, route_class=Operation
    )


class Operation(APIRoute):
    """An operation that is handed the services that it names.

    Until somebody wants more of it than what a path is held against, it is not built; a thread
    that describes all of them may want that beside the event loop.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        self._order = (path, endpoint, options)
        self._building = RLock()
        self.name = options.get("name") or endpoint.__name__
        self.dependencies = list(options.get("dependencies") or ())
        self.methods = set(options.get("methods") or ("GET",))
        self.path_regex, self.path_format, self.param_convertors = compile_path(path)

    def __getattr__(self, name: str) -> Any:
        """Build it at the first wish for what is not there yet."""
        if name.startswith("_"):
            raise AttributeError(name)
        with self._building:
            if "app" not in self.__dict__:
                path, endpoint, options = self._order
                if described := parameters_of(endpoint):
                    extra: dict[str, Any] = options.get("openapi_extra") or {}
                    options["openapi_extra"] = extra | {"parameters": described}
                super().__init__(path, with_services(endpoint), **options)
        try:
            return self.__dict__[name]
        except KeyError:
            raise AttributeError(name) from None


def asked_first(route: BaseRoute) -> BaseRoute:
    """Return an operation that asks first whether who asks may; LookupError for another one.

    A module that made a router of FastAPI's own would open its operations to everybody.
    """
    if not isinstance(route, APIRoute):
        raise LookupError(f"{route} is no operation of ours")
    if permitted not in {one.dependency for one in route.dependencies}:
        raise LookupError(f"{route.name} does not ask who may: make its router by `operations`")
    return route


def _operation_id(route: APIRoute) -> str:
    """Return the name of an operation, which clients and links call it by."""
    return route.name
