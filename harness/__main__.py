"""The two commands of a stranger and the rest of the harness: `python3 -m harness COMMAND`.

Theory: everything here and in `harness/setup.py` is of the standard library alone and parses on
Python 3.8, so that a machine with nothing but an old Python gets a sentence and not a traceback.
Whatever needs a package is started again inside `.venv`, which `setup` makes first.
Source: CONTRACT.md section 1, the last entry but none.
"""

import importlib
import importlib.util
import os
import sys

PYTHON_MIN = (3, 11)  # CONTRACT.md: CPython 3.11 to 3.13
INSIDE = (
    "test",
    "contract",
    "sim",
    "powerloss",
    "replay",
    "bench",
    "soak",
    "conformance",
    "fidelity",
    "serve-as",
    "mcp-client",
)
USAGE = "usage: python3 -m harness setup | run | " + " | ".join(INSIDE)
EXIT_USAGE = 2


def main(argv: "list[str]") -> int:
    """Carry out one command; what it returns is the exit status."""
    if sys.version_info[:2] < PYTHON_MIN:
        have = "{}.{}".format(*sys.version_info[:2])
        return refuse(f"Runchat needs Python 3.11 or newer; {sys.executable} is Python {have}.")
    command, rest = (argv[0], argv[1:]) if argv else ("", [])
    if command in ("-h", "--help", "help"):
        print(USAGE)
        return 0
    if command not in ("setup", "run", *INSIDE):
        return refuse(USAGE)
    from harness import setup  # noqa: PLC0415  not before the Python is known to be new enough

    try:
        setup.ensure()
    except setup.SetupFailed as problem:
        return refuse(str(problem))
    return start(command, rest)


def start(command: str, rest: "list[str]") -> int:
    """Start one command inside `.venv`, which stands."""
    from harness import setup  # noqa: PLC0415

    if command == "setup":
        return 0
    if command == "run":
        os.environ.setdefault("RUNCHAT_MODELS__DEFAULT", "local/smollm2")
        return setup.become([str(setup.BIN / "runchat"), "serve", *rest])
    if not setup.inside():
        return setup.become([str(setup.PYTHON), "-m", "harness", command, *rest])
    module = "harness." + ("checks" if command == "test" else command.replace("-", "_"))
    found = importlib.util.find_spec(module)
    if found is not None and found.submodule_search_locations:
        module += ".main"  # a folder, whose __init__ is empty
    load = importlib.import_module
    if command == "sim":  # a seed's replay is all start
        load = load("harness.quick").load
    return int(load(module).main(rest))


def refuse(sentence: str) -> int:
    """Say why nothing was done."""
    print(sentence, file=sys.stderr)
    return EXIT_USAGE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
