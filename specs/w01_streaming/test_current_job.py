"""Clients that contend for a conversation see what they could have seen one after the other."""

from __future__ import annotations

from collections import Counter

import pytest

from actors.conversation import Conversation, StartJob
from actors.views import ConversationView
from harness import contending
from harness.simulation.machine import Build
from runtime.actor import TrioActor
from runtime.caller import Caller
from specs.requirements import requirement
from transports.compose import Core

SEEDS = range(1, 7)


@requirement("jobs.linearizable")
@pytest.mark.parametrize("kills", [False, True], ids=["alive", "killed"])
def test_what_concurrent_clients_saw_could_have_happened_one_after_the_other(kills: bool) -> None:
    saw = Counter[tuple[str, str]]()
    for seed in SEEDS:
        history, outcome = contending.record(seed, kills=kills)
        verdict = contending.judge(history)
        assert (seed, outcome.wrongs, verdict.holds, verdict.stuck) == (seed, (), True, ())
        saw.update((type(each.do).__name__, type(each.said).__name__) for each in history)
    for kind in (
        ("Start", "Accepted"),
        ("Start", "Refused"),
        ("Start", "NoneType"),
        ("Abort", "Aborted"),
        ("Abort", "NoneType"),
        ("Read", "Current"),
        ("Ends", "NoneType"),
    ):
        assert saw[kind] >= 3, kind
    assert saw["Dies", "Current"] == (2 * len(SEEDS) if kills else 0)


def forgetting(actor: TrioActor) -> None:
    """A conversation that now and then takes a refusing start for the first."""
    if isinstance(actor, Conversation):
        check = actor._check

        def checked(order: StartJob) -> None:
            if order.on_active == "refuse" and actor.current:
                actor.row = None
            check(order)

        actor._check = checked  # type: ignore[method-assign]


def unfenced(actor: TrioActor) -> None:
    """A conversation that replaces whatever is current, whomever the caller meant."""
    if isinstance(actor, Conversation):
        actor._check = lambda order: None  # type: ignore[method-assign]


def remembering(core: Core) -> None:
    """A desk that shows a conversation as it was when it was first looked at."""
    shown: dict[str, ConversationView] = {}
    look = core.desk.conversation

    def looked(caller: Caller, conversation_id: str) -> ConversationView:
        return shown.setdefault(conversation_id, look(caller, conversation_id))

    core.desk.conversation = looked  # type: ignore[method-assign]


@pytest.mark.parametrize(
    "build",
    [Build(on_actor=forgetting), Build(on_actor=unfenced), Build(on_core=remembering)],
    ids=["two winners", "a lost fence", "stale reads"],
)
def test_a_bug_planted_in_the_product_is_found_in_the_history(build: Build) -> None:
    verdicts = [contending.judge(contending.record(seed, build=build)[0]) for seed in range(1, 9)]

    assert len([verdict for verdict in verdicts if not verdict.holds]) >= 2
