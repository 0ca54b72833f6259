"""The command line: `runchat COMMAND`. What the commands are, and how each ends.

Theory: a start costs what it imports, so this file knows each command only as the name of a
function, `module:function`, and imports it once it is asked for. Answers go to stdout, everything
else to stderr. An error is one sentence, never a stack; a bug keeps its stack.
Source: CONTRACT.md section 1.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from runtime.problems import Problem
from transports.ingress.cli.endings import CommandFailed, Exit, leaf

Command: TypeAlias = Callable[[argparse.Namespace], int]
STATUSES = ("queued", "running", "completed", "incomplete", "failed", "aborted")
STATUSES_MORE = ("superseded", "interrupted", "active")
ENDINGS = """exit status: 0 done; 1 the job or the request failed; 2 wrong usage; 3 another serve
owns the data folder; 4 the folder cannot be used; 5 the disk failed; 130 aborted"""


def main(argv: list[str] | None = None) -> int:
    """Carry out one command; return its exit status."""
    try:
        args = parser().parse_args(argv)
        status = function(args.run)(args)
        sys.stdout.flush()
    except SystemExit as end:  # argparse has said what is wrong
        return int(end.code or 0)
    except BaseException as error:  # noqa: BLE001  a bug is raised again
        return explain(leaf(error))
    return int(status)


def explain(error: BaseException) -> int:
    """Say why a command failed; return its exit status."""
    match error:
        case CommandFailed():
            print(f"runchat: {error}", file=sys.stderr)
            return int(error.status)
        case Problem():
            print(f"runchat: {error.detail}", file=sys.stderr)
            return Exit.FAILED
        case KeyboardInterrupt():
            return Exit.ABORTED
        case BrokenPipeError():
            with contextlib.suppress(OSError):  # what is still buffered goes nowhere, quietly
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return Exit.PIPE_CLOSED
        case _:
            raise error


def function(name: str) -> Command:
    """Return a command's function by its name, `module:function`."""
    module, _, attribute = name.partition(":")
    found: Command = getattr(importlib.import_module(f"{__package__}.{module}"), attribute)
    return found


def parser() -> argparse.ArgumentParser:
    """Return the whole grammar of the command line."""
    top = argparse.ArgumentParser(
        prog="runchat",
        description="Conversations with language models whose answers are never lost.",
        epilog=ENDINGS,
    )
    top.add_argument("--version", action=_Version, nargs=0, help="print the version")
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    for add in (
        _serve,
        _chat,
        _jobs,
        _tail,
        _abort,
        _export,
        _names,
        _mcp,
        _actions,
        _link,
        _token,
        _backup,
        _restore,
    ):
        add(commands)
    _replay(commands)
    _egress(commands)
    return top


Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001


class _Version(argparse.Action):
    """Prints the version, which is looked up only here."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version  # noqa: PLC0415  40 ms that no other command pays

        print(f"runchat {version('runchat')}")
        parser.exit()


def _add(commands: Commands, name: str, run: str, words: str) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=words, description=words[0].upper() + words[1:] + ".")
    command.set_defaults(run=run)
    return command


def _data(command: argparse._ActionsContainer) -> None:
    command.add_argument(
        "--data", type=Path, metavar="DIR", help="the data folder (default: the user's own)"
    )


def _service(command: argparse.ArgumentParser) -> None:
    """Say how a running service is found, and with which credential."""
    where = command.add_mutually_exclusive_group()
    where.add_argument("--url", help="the service to ask; its token by --token-file or environment")
    _data(where)
    command.add_argument(
        "--token-file", type=Path, metavar="FILE", help="holds the token (else RUNCHAT_TOKEN)"
    )


def _serve(commands: Commands) -> None:
    command = _add(commands, "serve", "serve:run", "run the service on a data folder")
    command.add_argument("--host", help="address to bind (default 127.0.0.1)")
    command.add_argument("--port", type=int, help="port to bind, 0 for a free one (default 8787)")
    _data(command)
    command.add_argument("--config", type=Path, metavar="FILE", help="settings, a TOML file")
    command.add_argument(
        "--announce", choices=["json"], help="print one line on stdout once it accepts connections"
    )
    command.add_argument(
        "--exit-with-parent", action="store_true", help="end cleanly when stdin closes"
    )
    command.add_argument(
        "--behind-proxy",
        action="store_true",
        default=None,
        help="a proxy does the TLS; wants [server] trusted_proxies",
    )


def _chat(commands: Commands) -> None:
    command = _add(commands, "chat", "chat:run", "ask once, or without PROMPT have a conversation")
    command.add_argument("--model", metavar="M", help="who answers (default: the setting's)")
    _service(command)
    command.add_argument("--json", action="store_true", help="print the job's events, one a line")
    command.add_argument("prompt", nargs="?", metavar="PROMPT", help="the question; - reads stdin")


def _jobs(commands: Commands) -> None:
    command = _add(commands, "jobs", "jobs:list_jobs", "list your jobs, newest first")
    command.add_argument("--status", choices=(*STATUSES, *STATUSES_MORE), metavar="STATUS")
    command.add_argument("--limit", type=int, default=25, metavar="N", help="at most N (25)")
    command.add_argument("--json", action="store_true", help="print them as JSON, one a line")
    _service(command)


def _tail(commands: Commands) -> None:
    command = _add(commands, "tail", "jobs:tail", "print a job's events as they come, to its end")
    command.add_argument("job", metavar="JOB")
    command.add_argument(
        "--after", type=int, default=0, metavar="N", help="begin after event N (default 0)"
    )
    _service(command)


def _abort(commands: Commands) -> None:
    command = _add(commands, "abort", "jobs:abort", "stop a job; what it has said is kept")
    command.add_argument("job", metavar="JOB")
    _service(command)


def _export(commands: Commands) -> None:
    command = _add(commands, "export", "jobs:export", "print a job as the lines that replay it")
    command.add_argument("job", metavar="JOB")
    _service(command)


def _names(commands: Commands) -> None:
    _models(commands)
    command = _add(commands, "endpoints", "models:endpoints", "list and test where models answer")
    _listing(command)
    actions = command.add_subparsers(metavar="ACTION")
    _listing(_add(actions, "list", "models:endpoints", "list where models answer"))
    test = _add(actions, "test", "models:test_endpoint", "ask an endpoint for a word")
    test.add_argument("name", metavar="NAME", help="the endpoint")
    test.add_argument("--model", metavar="MODEL", help="whom to ask (default: its first)")
    _listing(test)


def _models(commands: Commands) -> None:
    command = _add(commands, "models", "models:models", "list the models, say what holds of one")
    _listing(command)
    actions = command.add_subparsers(metavar="ACTION")
    _listing(_add(actions, "list", "models:models", "list the models"))
    told = _add(actions, "set", "models:set_facts", "say what holds of a model; it wins (admins)")
    forget = _add(actions, "unset", "models:forget_facts", "take back what was said (admins)")
    for each in (told, forget):
        each.add_argument("model", metavar="MODEL")
        _listing(each)
    words = "such as context=128000 abilities=tools,vision rates.input=0.25 rates.output=2"
    told.add_argument("facts", nargs="+", metavar="FIELD=VALUE", help=words)


def _mcp(commands: Commands) -> None:
    command = _add(commands, "mcp", "mcp:list_servers", "list, add, test and remove MCP servers")
    _listing(command)
    actions = command.add_subparsers(metavar="ACTION")
    _listing(_add(actions, "list", "mcp:list_servers", "list your MCP servers"))
    add = _add(actions, "add", "mcp:add", "add a server by its URL or by a server.json")
    add.add_argument("what", metavar="URL|FILE", help="where it is, or its server.json")
    add.add_argument("--name", metavar="NAME", help="what it is called here (needed with a URL)")
    add.add_argument("--auth", choices=("none", "person"), help="person: you sign in there")
    words = "sent with each request; NAME=@FILE reads it"
    add.add_argument("--header", action="append", default=[], metavar="NAME=VALUE", help=words)
    words = "what the server.json asks for; NAME=@FILE reads it"
    add.add_argument("--input", action="append", default=[], metavar="NAME=VALUE", help=words)
    _listing(add)
    for name, words in (
        ("test", "connect afresh and say how it went"),
        ("remove", "remove a server, its secrets, and the sign-in there"),
    ):
        each = _add(actions, name, f"mcp:{name}", words)
        each.add_argument("name", metavar="NAME", help="the server")
        _listing(each)


def _actions(commands: Commands) -> None:
    command = _add(commands, "actions", "actions:list_sets", "make tools of documents of APIs")
    _listing(command)
    actions = command.add_subparsers(metavar="ACTION")
    _listing(_add(actions, "list", "actions:list_sets", "list your actions"))
    look = _add(actions, "look", "actions:look", "say what a document comes to")
    look.add_argument("--search", metavar="WORDS", help="show the operations with these words")
    add = _add(actions, "add", "actions:add", "make actions of a document")
    add.add_argument("--name", required=True, metavar="NAME", help="what they are called here")
    words = "an operation that is wanted; may be given again (default: all)"
    add.add_argument("--operation", action="append", default=[], metavar="NAME", help=words)
    words = "sent with each call; NAME=@FILE reads it"
    add.add_argument("--header", metavar="NAME=VALUE", help=words)
    for each in (look, add):
        each.add_argument("what", metavar="URL|FILE", help="the document, JSON or YAML")
        each.add_argument("--server", metavar="URL", help="where calls go (default: its first)")
        _listing(each)
    removed = _add(actions, "remove", "actions:remove", "remove actions and their secrets")
    removed.add_argument("name", metavar="NAME", help="the actions")
    _listing(removed)


def _listing(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="print them as JSON, one a line")
    _service(command)


def _link(commands: Commands) -> None:
    command = _add(commands, "link", "link:run", "print a link that signs a browser in, once")
    _data(command)


def _token(commands: Commands) -> None:
    token = commands.add_parser("token", help="make, list and revoke tokens")
    actions = token.add_subparsers(metavar="ACTION", required=True)
    create = _add(actions, "create", "tokens:create", "make a token, printed as the last word")
    create.add_argument("--tenant", required=True, metavar="T", help="made where new")
    create.add_argument("--user", required=True, metavar="U", help="made where new")
    create.add_argument("--admin", action="store_true", help="the user is an admin")
    create.add_argument("--name", default="", metavar="N", help="what it is for")
    create.add_argument("--expires", metavar="TIME", help="such as 12h, 30d or 8w (default: never)")
    _data(create)
    _data(_add(actions, "list", "tokens:list_tokens", "list the tokens, a line each"))
    revoke = _add(actions, "revoke", "tokens:revoke", "end a token at once")
    revoke.add_argument("id", metavar="ID", help="the first word of its line in `token list`")
    _data(revoke)


def _backup(commands: Commands) -> None:
    command = _add(commands, "backup", "store:backup", "copy the data folder, also while it serves")
    command.add_argument("file", type=Path, metavar="FILE")
    _data(command)


def _restore(commands: Commands) -> None:
    command = _add(commands, "restore", "store:restore", "make a new data folder of a backup")
    command.add_argument("file", type=Path, metavar="FILE")
    command.add_argument("--data", type=Path, metavar="NEW", required=True, help="a new folder")


def _egress(commands: Commands) -> None:
    egress = commands.add_parser("egress", help="see where the service may connect to")
    actions = egress.add_subparsers(metavar="ACTION", required=True)
    check = _add(actions, "check", "egress:check", "say what the guard decides about URLs, and why")
    check.add_argument("urls", nargs="*", metavar="URL", help="else a line each on stdin")
    check.add_argument("--json", action="store_true", help="stdin holds cases, a line of JSON each")
    check.add_argument("--purpose", default="check", metavar="P", help="provider, webhook, ...")
    check.add_argument("--config", type=Path, metavar="FILE", help="settings, for the exemptions")


def _replay(commands: Commands) -> None:
    command = _add(commands, "replay", "replay:run", "run an exported job again, and compare")
    command.add_argument("file", type=Path, metavar="FILE")
    command.add_argument("more", nargs=argparse.REMAINDER, metavar="...", help="for the harness")


if __name__ == "__main__":
    sys.exit(main())
