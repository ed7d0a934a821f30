"""The checker of chaos refuses what no order explains, and lets through what one does."""

from pathlib import Path
from typing import Any

import pytest
from support.chaos.checker import is_explained, judge
from support.chaos.history import Asked, Final, History
from support.chaos.record import HISTORY, Evidence, Struck, kept

ARTIFACT: dict[str, Any] = {
    "attempt": 1,
    "state": "succeeded",
    "hooks": [{"name": "on_after_extract", "state": "succeeded"}],
}


def asked(words: str, *, job: str = "j") -> list[Asked]:
    """Return requests from lines such as `0-1 submit queued/1`, `2- cancel`, `3-4 retry refused`."""
    found: list[Asked] = []
    for line in words.strip().splitlines():
        span, act, *told = line.split()
        began, _, ended = span.partition("-")
        state, _, attempt = (told or [""])[0].partition("/")
        found.append(
            Asked(
                key="k",
                act=act,
                began=float(began),
                ended=float(ended or "inf"),
                job=job if ended else "",
                state=state,
                attempt=int(attempt or 0),
                is_refused=state == "refused",
            )
        )
    return found


@pytest.mark.parametrize(
    "words",
    [
        "0-1 submit queued/1\n2-3 read running/1\n4-5 read succeeded/1",
        "0-1 submit queued/1\n2-3 cancel running/1\n4-5 read cancelled/1",
        "0-1 submit queued/1\n2-3 cancel running/1\n4-5 read succeeded/1",  # it was nearly over
        "0-1 submit queued/1\n2- cancel\n3-4 read running/1\n5-6 read cancelled/1",
        "0- submit\n1-2 submit queued/1\n3-4 read running/2",
        "0-9 read succeeded/1\n1-2 submit queued/1",  # it was answered late
        "0-1 submit queued/1\n2-3 read failed/1\n4- retry\n5-6 read running/2",
        "0-1 submit queued/1\n2-3 cancel cancelled/1\n4-5 retry queued/2\n6-7 read succeeded/2",
        "0-1 submit queued/1\n2-3 retry refused\n4-5 read succeeded/1",
    ],
)
def test_an_order_is_found_where_there_is_one(words: str) -> None:
    assert is_explained(asked(words), final=None)


@pytest.mark.parametrize(
    "words",
    [
        "0-1 submit queued/1\n2-3 read succeeded/1\n4-5 read running/1",
        "0-1 submit queued/1\n2-3 read succeeded/1\n4-5 read failed/1",
        "0-1 submit queued/1\n2-3 read succeeded/1\n4-5 read running/2",
        "0-1 submit queued/1\n2-3 cancel cancelled/1\n4-5 read succeeded/1",
        "0-1 submit queued/1\n2-3 read running/2\n4-5 read running/1",
        "0-1 read queued/1",
        "0-1 submit queued/1\n2-3 read cancelled/1",
        "0-1 submit queued/1\n2-3 retry queued/2\n4-5 read succeeded/1",
        "0-1 submit queued/1\n2-3 cancel cancelled/1\n4-5 retry queued/2\n6-7 read cancelled/2",
    ],
)
def test_what_no_order_explains_is_refused(words: str) -> None:
    assert not is_explained(asked(words), final=None)


def whole(**changes: Any) -> Final:
    told: dict[str, Any] = {
        "key": "k",
        "job": "j",
        "state": "succeeded",
        "attempt": 1,
        "ends": (1,),
        "outputs": {"out.txt": "k"},
        "artifact": ARTIFACT,
    }
    return Final(**(told | changes))


@pytest.mark.parametrize(
    ("final", "wrong"),
    [
        (whole(), ""),
        (whole(state="running", ends=()), "lost"),
        (whole(outputs={}), "lost"),
        (whole(artifact=None), "lost"),
        (whole(artifact=ARTIFACT | {"hooks": []}), "lost"),
        (whole(ends=()), "lost"),
        (whole(ends=(1, 1)), "doubled"),
        (whole(job="another"), "doubled"),
        (whole(state="cancelled"), "unexplained"),
    ],
)
def test_what_is_wrong_in_the_end_has_a_name(final: Final, wrong: str) -> None:
    history = History(asked=asked("0-1 submit queued/1"), final={"k": final})
    verdict = judge(history)
    found = [name for name in ("lost", "doubled", "unexplained") if getattr(verdict, name)]
    assert found == ([wrong] if wrong else [])
    assert verdict.accepted == 1


def test_what_was_asked_last_and_not_answered_may_have_happened_before_the_last_look() -> None:
    """As a retry while PostgreSQL was restarted: nobody asked about the job after it."""
    words = "0-1 submit queued/1\n2-3 cancel cancelled/1\n4- retry"
    again = whole(attempt=3, ends=(1, 3), artifact=ARTIFACT | {"attempt": 3})
    for final in (again, whole(state="cancelled", artifact=None)):
        assert is_explained(asked(words), final=final)
        assert judge(History(asked=asked(words), final={"k": final})).is_fine
    assert not is_explained(asked(words), final=whole(state="failed"))


def test_a_history_that_is_kept_is_judged_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("support.chaos.record.KEPT_IN", str(tmp_path))
    log = tmp_path / "a.log"
    log.write_text("what the appliance said")
    words = "0-1 submit queued/1\n2- cancel\n3-4 read succeeded/1\n5-6 read running/1"
    history = History(asked=asked(words), final={"k": whole()})
    evidence = Evidence(history=history, struck=[Struck(name="queue-forgot", began=1, ended=2)])
    with evidence.kept_where_needed({"appliance.log": log}):
        pass  # nobody found that all is well
    path = Path(capsys.readouterr().err.split()[-1])
    assert path.name == HISTORY and (path.parent / "appliance.log").read_text() == log.read_text()
    assert judge(kept(path)) == judge(history)
    assert judge(history).unexplained
    evidence.is_needed = False
    with evidence.kept_where_needed({}):
        pass
    assert capsys.readouterr().err == "", "all was well"


def test_an_accepted_job_that_is_not_there_is_lost() -> None:
    assert judge(History(asked=asked("0-1 submit queued/1"))).lost
