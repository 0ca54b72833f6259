"""Everything that must hold before a change lands: `python3 -m harness test`."""

from harness import setup


def main(arguments: "list[str]") -> int:
    return setup.become([str(setup.PYTHON), "-m", "pytest", *arguments])
