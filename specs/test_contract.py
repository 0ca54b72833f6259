"""The frozen documents are what the code makes, and a full run has exercised all they promise.

Every answer and every event of a spec that talks to `specs.support.server.service` is held against
the documents on its way out; one that breaks them fails that spec.
"""

from __future__ import annotations

from harness import contract
from specs.requirements import requirement
from specs.support.server import PROOF


@requirement("contract.openapi", "contract.events")
def test_the_committed_contract_is_the_one_the_code_makes() -> None:
    assert contract.drift() == []


@requirement("contract.routes-proved")
def test_every_route_and_status_was_exercised() -> None:
    assert PROOF.unproved() == []
