"""No operation is taken in that does not ask who may, wherever it was written."""

import pytest
from fastapi import APIRouter
from starlette.routing import Mount

from runtime.http.app import DOORS, PAGES
from runtime.http.entrance.operations import asked_first, operations, page_operations


def nothing() -> dict[str, str]:
    return {}


def test_every_operation_of_the_api_and_the_pages_asks() -> None:
    routes = [route for door in (*DOORS, *PAGES) for route in door.router.routes]
    assert len(routes) > 100
    assert [asked_first(route) for route in routes] == routes


@pytest.mark.parametrize("make", [operations, page_operations])
def test_what_is_made_by_ours_asks(make: type[APIRouter]) -> None:
    router = make()
    router.get("/nothing")(nothing)
    assert asked_first(router.routes[0]) is router.routes[0]


def test_a_router_of_fastapis_own_is_refused() -> None:
    router = APIRouter()
    router.get("/nothing")(nothing)
    with pytest.raises(LookupError, match="does not ask who may"):
        asked_first(router.routes[0])


def test_what_is_no_operation_is_refused() -> None:
    with pytest.raises(LookupError, match="no operation of ours"):
        asked_first(Mount("/nothing", routes=[]))
