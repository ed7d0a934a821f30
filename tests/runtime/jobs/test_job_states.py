"""The states of a job are a small machine; these tests try every walk through it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.faults.errors import StateConflict
from runtime.values.states import ALLOWED, ENDINGS, FINAL, Change, State, after, is_allowed

CHANGES = st.lists(st.sampled_from(list(Change)), max_size=40)


@given(CHANGES)
def test_a_job_that_has_ended_leaves_its_state_only_by_a_retry(changes: list[Change]) -> None:
    state = State.QUEUED
    for change in changes:
        if not is_allowed(state, change=change):
            continue
        new = after(state, change=change)
        if state.is_final:
            assert (change, new) == (Change.RETRY, State.QUEUED)
        state = new


@given(st.sampled_from(list(State)), st.sampled_from(list(Change)))
def test_a_change_happens_or_is_refused_with_the_states_that_allow_it(
    state: State, change: Change
) -> None:
    if is_allowed(state, change=change):
        assert after(state, change=change) in State
    else:
        with pytest.raises(StateConflict) as refused:
            after(state, change=change)
        assert all(source in refused.value.problems[0].mend for source in ALLOWED[change])


@pytest.mark.parametrize("state", list(State))
def test_every_state_can_be_reached_and_every_job_can_come_to_an_end(state: State) -> None:
    def reachable(start: State) -> set[State]:
        seen, todo = {start}, [start]
        while todo:
            at = todo.pop()
            for moves in ALLOWED.values():
                new = moves.get(at)
                if new and new not in seen:
                    seen.add(new)
                    todo.append(new)
        return seen

    assert state in reachable(State.QUEUED)
    assert reachable(state) >= FINAL


def test_every_final_state_has_the_change_that_leads_to_it() -> None:
    assert set(ENDINGS) == FINAL
    for state, change in ENDINGS.items():
        assert after(State.RUNNING, change=change) is state
