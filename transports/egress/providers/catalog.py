"""Which models can be asked, and who answers for each.

The default is what the settings name; else a real model before one that only echoes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from runtime.problems import Invalid
from transports.egress.providers.base import Model, Provider

DEFAULTS = (
    "local/smollm2",
    "echo",
)  # the first of these that is there, where the settings are silent


class Catalog:
    """The models of all providers, by id. An endpoint may come, change and go."""

    def __init__(
        self,
        providers: Iterable[Provider],
        *,
        default: str | None = None,
        absent: Mapping[str, str] | None = None,
    ) -> None:
        """Take the providers and what the settings say.

        Args:
            default: the model of a job that names none.
            absent: models that could be here but are not, each with the reason in a sentence.

        Raises:
            Invalid: the default is not there, or two providers claim one model.
        """
        self.absent: Mapping[str, str] = dict(absent or {})
        self._at: dict[str, Provider] = {}
        self._known: dict[str, tuple[Provider, Model]] = {}
        self._facts: dict[str, Mapping[str, Any]] = {}  # the operator's word on a model
        for provider in providers:
            if self.put(provider):
                raise Invalid.at("/model", f"Two providers are called {provider.endpoint}.")
        self.default = ""
        self.settle(default)

    def settle(self, default: str | None) -> None:
        """Let the named model answer where none is asked for; nothing: one of ours.

        Raises:
            Invalid: there is no such model; that of an endpoint in the store is, once it stands.
        """
        self.default = default or next((name for name in DEFAULTS if name in self._known), "")
        if self.default:
            self.find(self.default)

    @property
    def providers(self) -> tuple[Provider, ...]:
        """All providers, in the order of their coming."""
        return tuple(self._at.values())

    def put(self, provider: Provider) -> Provider | None:
        """Let a provider stand for its endpoint; return the one that stood for it before.

        Raises:
            Invalid: a provider of another endpoint has a model of the same id.
        """
        self.check(provider)
        old = self.remove(provider.endpoint)
        self._at[provider.endpoint] = provider
        self._known |= {model.id: (provider, self._told(model)) for model in provider.models}
        return old

    def overlay(self, model_id: str, facts: Mapping[str, Any] | None) -> None:
        """Let the operator's word on a model win over what is known of it; None takes it back.

        Args:
            facts: fields of `Model`.
        """
        if facts is None:
            self._facts.pop(model_id, None)
        else:
            self._facts[model_id] = facts
        if found := self._known.get(model_id):
            provider = found[0]
            [known] = [each for each in provider.models if each.id == model_id]
            self._known[model_id] = provider, self._told(known)

    def _told(self, model: Model) -> Model:
        facts = self._facts.get(model.id)
        return replace(model, **facts) if facts else model

    def check(self, provider: Provider) -> None:
        """See that a provider can stand for its endpoint.

        Raises:
            Invalid: a provider of another endpoint has a model of the same id.
        """
        for model in provider.models:
            if (other := self._known.get(model.id)) and other[1].endpoint != provider.endpoint:
                raise Invalid.at("/model", f"Two providers offer {model.id}.")

    def remove(self, endpoint: str) -> Provider | None:
        """Let nobody stand for an endpoint; return who did."""
        old = self._at.pop(endpoint, None)
        gone = old.models if old else ()
        for model in gone:
            del self._known[model.id]
        return old

    def models(self) -> tuple[Model, ...]:
        """Return all models, sorted by id."""
        return tuple(self._known[name][1] for name in sorted(self._known))

    def find(self, model_id: str | None) -> tuple[Provider, Model]:
        """Return the model and its provider; None finds the default.

        Raises:
            Invalid: there is no such model; its detail says why where that is known.
        """
        wanted = self.default if model_id is None else model_id
        found = self._known.get(wanted)
        if found is None:
            raise Invalid.at("/model", self.absent.get(wanted) or "There is no such model.")
        return found

    def at(self, endpoint: str) -> Provider | None:
        """Return the provider behind an endpoint's name, None where there is none."""
        return self._at.get(endpoint)

    async def aclose(self) -> None:
        """Close every provider."""
        for provider in self.providers:
            await provider.aclose()
