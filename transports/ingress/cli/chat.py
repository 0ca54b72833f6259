"""`runchat chat`: ask once, or have a conversation.

The answer streams to stdout; Ctrl-C aborts the job, a second one leaves at once. A terminal's line
editing and trio's loop both want the main thread, so they take turns: a line is read, then one run
of the loop answers it. Without a service one is started, and ended at the end.
Source: CONTRACT.md section 1.
"""

from __future__ import annotations

import argparse
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Iterator

import trio

from runtime import limits
from transports.ingress.cli.answer import Answer
from transports.ingress.cli.endings import CommandFailed, Exit, Said, leaf
from transports.ingress.cli.finding import Finder, InFolder, finder
from transports.ingress.cli.own_service import OwnService
from transports.ingress.cli.steady import Steady
from transports.ingress.cli.terminal import Terminal

QUIT = "/quit"
PROMPT = "> "


def run(args: argparse.Namespace) -> int:
    """Answer the prompt, or one line after the other."""
    question = read_prompt(args.prompt)
    found = finder(args)
    own = OwnService(found) if isinstance(found, InFolder) else None
    chat = Chat(own or found, Terminal(), model=args.model, as_json=args.json)
    try:
        with chat.terminal.typed_text_restored():
            return chat.ask(question) if question is not None else converse(chat)
    finally:
        if own is not None:
            own.end()


def read_prompt(prompt: str | None) -> str | None:
    """Return the question of the command line, None for a conversation.

    Raises:
        CommandFailed: there is nothing in it.
    """
    if prompt == "-":
        prompt = sys.stdin.buffer.read().decode("utf-8", "replace")
    if prompt is not None and not prompt.strip():
        raise CommandFailed("the prompt is empty", Exit.USAGE)
    return prompt


def converse(chat: Chat) -> int:
    """Answer line after line, until there is none."""
    status = int(Exit.DONE)
    for line in lines(sys.stdin.isatty()):
        try:
            status = chat.ask(line)
        except Said as refusal:
            chat.terminal.say(f"runchat: {refusal}")
            status = refusal.status
        if chat.left:
            return status
    return status if not sys.stdin.isatty() else Exit.DONE


def lines(by_a_person: bool) -> Iterator[str]:
    """Yield what is typed or piped, without empty lines, until `/quit` or the end."""
    if by_a_person:
        import readline  # noqa: F401, PLC0415  line editing, only for a person
    while True:
        try:
            line = read_line(by_a_person)
        except EOFError:
            return
        if line.strip() == QUIT:
            return
        if line.strip():
            yield line


def read_line(by_a_person: bool) -> str:
    """Return one line; at a terminal Ctrl-C clears it, and on an empty one leaves.

    Raises:
        EOFError: there is no more.
    """
    if not by_a_person:
        line = sys.stdin.readline()
        if not line:
            raise EOFError
        return line.rstrip("\n")
    try:
        sys.stderr.write(PROMPT)
        sys.stderr.flush()
        return input()
    except KeyboardInterrupt:
        sys.stderr.write("\n(/quit or Ctrl-D leaves)\n")
        return ""
    except EOFError:
        sys.stderr.write("\n")
        raise


class Chat:
    """One conversation with a service. `left` is set once somebody wants out at once."""

    def __init__(
        self, found: Finder, terminal: Terminal, *, model: str | None, as_json: bool
    ) -> None:
        self.terminal, self.left = terminal, False
        self._finder, self._model, self._as_json = found, model, as_json
        self._conversation: str | None = None

    def ask(self, question: str) -> int:
        """Ask and print the answer; return the exit status that says how it ended.

        Raises:
            CommandFailed, BrokenPipeError.
        """
        try:
            return trio.run(self._ask, question)
        except BaseExceptionGroup as group:
            raise leaf(group) from None

    async def _ask(self, question: str) -> int:
        asking = Asking(Steady(self._finder, self.terminal.say), self.terminal)
        answer = Answer(self.terminal, as_json=self._as_json)
        with trio.open_signal_receiver(signal.SIGINT) as interrupts:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.terminal.spin)
                nursery.start_soon(asking.stop_when, interrupts, nursery.cancel_scope)
                await self._answer(asking, question, answer)
                nursery.cancel_scope.cancel()
        self.terminal.end_line()
        if asking.left:
            self.left = True
            return Exit.ABORTED
        if answer.remark:
            self.terminal.say(f"runchat: {answer.remark}")
        return answer.exit

    async def _answer(self, asking: Asking, question: str, answer: Answer) -> None:
        if self._conversation is None:
            self._conversation = await asking.begin(question)
        job_id = await asking.start(self._conversation, question, self._model)
        try:
            await asking.steady.follow(job_id, 0, answer.take)
        except BrokenPipeError:
            await asking.abort()
            raise


class Asking:
    """One question under way, and what Ctrl-C does to it."""

    def __init__(self, steady: Steady, terminal: Terminal) -> None:
        self.steady, self.left = steady, False
        self._terminal = terminal
        self._job_id: str | None = None
        self._asked = self._stopping = False

    async def begin(self, question: str) -> str:
        """Make a conversation that is named after its first question; return its id."""
        title = " ".join(question.split())[: limits.CLI_TITLE_CHARS]
        made = await self.steady.call("POST", "/api/conversations", {"title": title}, key=new_key())
        return str(made["id"])

    async def start(self, conversation_id: str, question: str, model: str | None) -> str:
        """Ask; return the job's id."""
        self._asked = True
        body = {"input": question} | ({"model": model} if model else {})
        path = f"/api/conversations/{conversation_id}/jobs"
        job = await self.steady.call("POST", path, body, key=new_key())
        self._job_id = str(job["id"])
        if self._stopping:
            await self.abort()
        return self._job_id

    async def stop_when(self, interrupts: AsyncIterator[int], scope: trio.CancelScope) -> None:
        """Abort the job at the first Ctrl-C; leave at the second, or where nothing is asked yet."""
        async for _ in interrupts:
            if self._stopping or not self._asked:
                self.left = True
                scope.cancel()
                return
            self._stopping = True
            self._terminal.say("Stopping; Ctrl-C again leaves at once.")
            if self._job_id is not None:
                await self.abort()

    async def abort(self) -> None:
        """Stop the job; one that has ended is left as it is."""
        try:
            await self.steady.call("POST", f"/api/jobs/{self._job_id}/abort")
        except Said as refusal:
            if refusal.name != "job-ended":
                raise


def new_key() -> str:
    """Return a fresh idempotency key."""
    return f"cli-{secrets.token_hex(16)}"
