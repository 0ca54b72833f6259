"""Whether an append of an idempotent producer is new, was there already, or must not be. Pure.

Source: Durable Streams protocol 1.0, section 5.2.1, `Validation Logic`.
"""

from __future__ import annotations

from runtime.problems import BadRequest, ProducerFenced, ProducerGap
from store.durable import Producer


def is_new(asked: Producer, known: Producer | None) -> bool:
    """Say whether the append is to be done; False where it was done before.

    Raises:
        ProducerFenced: a newer epoch has written.
        ProducerGap: something was left out.
        BadRequest: a new epoch does not begin at 0.
    """
    if known is None:
        expected = 0
    elif asked.epoch < known.epoch:
        raise ProducerFenced(f"The producer is at epoch {known.epoch}.", producer_epoch=known.epoch)
    elif asked.epoch > known.epoch:
        if asked.sequence != 0:
            raise BadRequest("A new epoch of a producer begins with Producer-Seq 0.")
        expected = 0
    elif asked.sequence <= known.sequence:
        return False
    else:
        expected = known.sequence + 1
    if asked.sequence != expected:
        raise ProducerGap(
            f"The producer's next number is {expected}.",
            producer_expected_seq=expected,
            producer_received_seq=asked.sequence,
        )
    return True
