"""Which models can be asked, and who answers for each.

The default is what the settings name; else a real model before one that only echoes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from runtime.problems import Invalid
from transports.egress.providers.base import Model, Provider

DEFAULTS = (
    "local/smollm2",
    "echo",
)  # the first of these that is there, where the settings are silent


class Catalog:
    """The models of all providers, by id. It does not change while the service runs."""

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
        self.providers = tuple(providers)
        self.absent: Mapping[str, str] = dict(absent or {})
        self._known: dict[str, tuple[Provider, Model]] = {}
        for provider in self.providers:
            for model in provider.models:
                if model.id in self._known:
                    raise Invalid.at("/model", f"Two providers offer {model.id}.")
                self._known[model.id] = (provider, model)
        self.default = default or next((name for name in DEFAULTS if name in self._known), "")
        if self.default:
            self.find(self.default)

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

    def at(self, endpoint: str) -> Provider:
        """Return the provider behind an endpoint's name.

        Raises:
            KeyError: there is none.
        """
        return {each.endpoint: each for each in self.providers}[endpoint]

    async def aclose(self) -> None:
        """Close every provider."""
        for provider in self.providers:
            await provider.aclose()
