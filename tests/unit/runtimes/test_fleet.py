"""Which host gets a run, and what its silence, its refusals and its ends cost it; in virtual time."""

import pytest
from attrs import define, field

from adapters.remote_runtime.fleet import (
    DISTRUSTED_S,
    TRIES_MAX,
    WINDOW_MAX,
    WINDOW_START,
    Choice,
    Condition,
    HostView,
    StreamCounts,
    UnknownReason,
    choose,
)
from adapters.remote_runtime.silence import DEAD_AFTER_S, JUDGED_EACH_S, LEFT_AFTER_S, Silence, SilenceVerdict
from domain.scripts.language import Language

NOW_S = 1000.0


@define(eq=False)
class Host:
    name: str
    state: HostView = field(factory=lambda: HostView(Condition.READY))


def hosts(count: int) -> list[Host]:
    return [Host(f"host {number}") for number in range(count)]


def end(state: HostView, count: int) -> None:
    for _ in range(count):
        state.ended(was_refused=False)


class TestChoice:
    @pytest.mark.parametrize(("runs_max", "margin"), [(8, 4), (64, 32), (1024, 32)])
    def test_the_warm_host_comes_first_unless_another_one_has_much_less_load(self, runs_max, margin):
        ranked = hosts(3)
        warm = ranked[2].state
        warm.claim(runs_max)
        warm.reported = margin - 1
        order, why = choose(ranked, ranked[2], Language.PYTHON, NOW_S)
        assert (order, why) == ([ranked[2], ranked[0], ranked[1]], Choice.WARM)
        warm.reported += 1
        order, why = choose(ranked, ranked[2], Language.PYTHON, NOW_S)
        assert (order, why) == (ranked, Choice.LESS_LOADED)

    def test_a_warm_host_without_room_is_not_waited_for(self):
        ranked = hosts(2)
        ranked[1].state.in_flight = WINDOW_START
        assert choose(ranked, ranked[1], Language.PYTHON, NOW_S) == ([ranked[0], ranked[1]], Choice.FIRST)

    @pytest.mark.parametrize(("runs_max", "margin"), [(8, 2), (64, 16), (1024, 16)])
    def test_the_first_of_two_is_taken_unless_the_second_has_clearly_less_load(self, runs_max, margin):
        ranked = hosts(3)
        first = ranked[0].state
        first.claim(runs_max)
        first.reported = margin - 1
        assert choose(ranked, None, Language.PYTHON, NOW_S)[1] is Choice.FIRST
        first.reported += 1
        order, why = choose(ranked, None, Language.PYTHON, NOW_S)
        assert (order[:2], why) == ([ranked[1], ranked[0]], Choice.LESS_LOADED)

    def test_a_host_that_is_back_has_no_load_until_it_reports_one(self):
        ranked = hosts(2)
        ranked[0].state.reported = ranked[0].state.runs_max
        ranked[0].state.claim(WINDOW_START)
        assert choose(ranked, None, Language.PYTHON, NOW_S)[0][0] is ranked[0]

    def test_what_was_just_sent_counts_before_the_host_reports_it(self):
        ranked = hosts(2)
        ranked[0].state.in_flight = WINDOW_START - 1
        ranked[0].state.claim(WINDOW_START)
        assert choose(ranked, None, Language.PYTHON, NOW_S)[0][0] is ranked[1]

    def test_hosts_that_take_no_runs_come_last(self):
        ranked = hosts(3)
        for host, condition in zip(ranked, (Condition.SILENT, Condition.DRAINING, Condition.HTTP), strict=True):
            host.state.become(condition)
        assert choose(ranked, ranked[0], Language.PYTHON, NOW_S)[0] == [ranked[2], ranked[0], ranked[1]]

    def test_a_host_whose_sandbox_cannot_run_the_language_comes_last_even_if_it_is_warm(self):
        ranked = hosts(2)
        ranked[0].state.unavailable = {Language.PYTHON}
        assert choose(ranked, ranked[0], Language.PYTHON, NOW_S) == ([ranked[1], ranked[0]], Choice.FIRST)
        assert choose(ranked, ranked[0], Language.NODEJS, NOW_S)[1] is Choice.WARM
        assert "cannot run python now" in ranked[0].state.refusal(NOW_S)

    def test_a_run_is_sent_to_few_hosts(self):
        assert len(choose(hosts(10), None, Language.PYTHON, NOW_S)[0]) == TRIES_MAX

    def test_a_host_to_which_nothing_is_sent_for_its_window_comes_last(self):
        ranked = hosts(2)
        ranked[0].state.in_flight = WINDOW_START * len(Language)
        ranked[1].state.in_flight = WINDOW_START
        assert choose(ranked, ranked[0], Language.PYTHON, NOW_S) == ([ranked[1], ranked[0]], Choice.NO_ROOM)

    def test_no_more_hosts_are_ranked_than_a_run_may_be_sent_to(self):
        ranked = iter(hosts(10))
        choose(ranked, None, Language.PYTHON, NOW_S)
        assert next(ranked).name == f"host {TRIES_MAX}"

    def test_without_room_anywhere_the_hosts_keep_their_order(self):
        ranked = hosts(2)
        for host in ranked:
            host.state.in_flight = WINDOW_START
        assert choose(ranked, None, Language.PYTHON, NOW_S) == (ranked, Choice.NO_ROOM)


def test_what_hosts_have_lost_is_counted_for_each_and_for_all():
    counts = StreamCounts()
    one, other = HostView(counts=counts), HostView(counts=counts)
    one.lose(UnknownReason.LATE)
    one.lose(UnknownReason.LOST)
    other.lose(UnknownReason.LOST)
    other.ponged(0.002)
    assert (one.unknown, other.unknown) == (2, 1)
    assert counts.unknown == {UnknownReason.LATE: 1, UnknownReason.LOST: 2}
    assert (one.ping_s, other.ping_s, sum(counts.pings_s.counts)) == (None, 0.002, 1)


class TestWindow:
    def test_it_grows_with_ends_up_to_the_claimed_places(self):
        state = HostView()
        state.claim(20)
        for _ in range(10):
            state.ended(was_refused=False)
        assert state.window == 20

    def test_it_halves_when_the_host_has_no_time_and_never_ends(self):
        state = HostView()
        for _ in range(10):
            state.ended(was_refused=True)
        assert state.window == 1

    def test_a_claim_beyond_all_measure_is_bounded(self):
        state = HostView()
        state.claim(1 << 31)
        assert state.runs_max == WINDOW_MAX

    def test_a_claim_of_nothing_leaves_one_place(self):
        state = HostView()
        state.claim(0)
        assert (state.runs_max, state.window, state.load) == (1, 1, 0)


class TestTrust:
    def test_three_runs_in_a_row_without_an_end_cost_it_for_a_while(self):
        state = HostView(Condition.READY)
        for _ in range(3):
            assert state.takes_runs(NOW_S)
            state.overdue(NOW_S)
        assert not state.takes_runs(NOW_S + DISTRUSTED_S - 1)
        assert "a tenth of its runs" in state.distrust
        assert state.takes_runs(NOW_S + DISTRUSTED_S)

    @pytest.mark.parametrize("ends", [0, 1, 9])
    def test_a_host_that_loses_more_than_a_tenth_of_its_runs_is_distrusted(self, ends):
        state = HostView(Condition.READY)
        for _ in range(30):
            state.overdue(NOW_S)
            end(state, ends)
        assert not state.takes_runs(NOW_S)

    def test_a_host_that_ends_nearly_all_runs_stays_trusted(self):
        state = HostView(Condition.READY)
        for _ in range(30):
            state.overdue(NOW_S)
            end(state, 10)
        assert state.takes_runs(NOW_S)

    def test_refusals_restore_no_trust(self):
        state = HostView(Condition.READY)
        for _ in range(3):
            state.overdue(NOW_S)
            for _ in range(20):
                state.ended(was_refused=True)
        assert not state.takes_runs(NOW_S)

    def test_it_survives_a_new_stream(self):
        state = HostView(Condition.READY)
        state.leave(NOW_S, "it broke the protocol")
        state.become(Condition.READY)
        assert not state.takes_runs(NOW_S + 1)


def judged(
    silence: Silence, until_s: float, heard_at_s: float, since_s: float = 0.0
) -> list[tuple[float, SilenceVerdict]]:
    """Judge as a timer does; return what was not fine."""
    found, steps = [], int((until_s - since_s) / JUDGED_EACH_S)
    for step in range(1, steps + 1):
        now_s = since_s + step * JUDGED_EACH_S
        verdict, _ = silence.judge(heard_at_s, now_s)
        if verdict is not SilenceVerdict.FINE:
            found.append((now_s, verdict))
    return found


class TestSilence:
    def test_a_silent_host_is_pinged_once_left_within_a_second_and_given_up(self):
        assert judged(Silence(0.0, 0.0), DEAD_AFTER_S, 0.0) == [
            (0.25, SilenceVerdict.PING),
            (DEAD_AFTER_S, SilenceVerdict.DEAD),
        ]
        assert LEFT_AFTER_S + JUDGED_EACH_S < 1

    def test_a_host_that_is_heard_again_starts_anew(self):
        silence = Silence(0.0, 0.0)
        judged(silence, 0.5, 0.0)
        assert judged(silence, 1.0, 0.5, since_s=0.5) == [(0.75, SilenceVerdict.PING)]

    def test_a_judge_that_was_frozen_itself_blames_nobody(self):
        silence = Silence(0.0, 0.0)
        verdict, quiet_s = silence.judge(0.0, 10.0)
        assert (verdict, quiet_s) == (SilenceVerdict.FINE, 0.0)
        assert judged(silence, 10.0 + DEAD_AFTER_S, 0.0, since_s=10.0)[-1] == (10.0 + DEAD_AFTER_S, SilenceVerdict.DEAD)
