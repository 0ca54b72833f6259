"""What the settings say of the outside, as parts: providers, where each may reach, webhooks.

Everything that is configured and reaches outward is made here, so that no setting opens a door that
the guard does not know of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import trio

from runtime.settings import BadSettings, Settings
from runtime.settings import Endpoint as EndpointSettings
from runtime.telemetry import Metrics
from transports.egress import guard
from transports.egress.denial import Decision, Told
from transports.egress.places import Place
from transports.egress.providers import local
from transports.egress.providers.base import Provider
from transports.egress.providers.catalog import Catalog
from transports.egress.providers.echo import Echo
from transports.egress.providers.facts import vendor_of
from transports.egress.providers.synthetic import Synthetic
from transports.egress.webhooks import Webhooks


def counted(metrics: Metrics) -> Told:
    """Return what counts the decisions of the guard."""

    def told(decision: Decision) -> None:
        verdict = "allow" if decision.allowed else "block"
        metrics.egress_decisions_total.inc(verdict, decision.rule, decision.purpose)

    return told


def catalog_for(
    settings: Settings,
    nursery: trio.Nursery,
    run_folder: Path,
    more: Sequence[Provider] = (),
    on_decision: Told | None = None,
) -> Catalog:
    """Return the models that the settings and this machine offer, and those of `more`.

    Raises:
        BadSettings: an endpoint cannot be where they say.
    """
    providers: list[Provider] = [Echo(), *more]
    absent: dict[str, str] = {}
    if reason := local.missing():
        absent[local.MODEL.id] = reason
    else:
        how = settings.local
        embedded = local.Local(nursery, run_folder, context=how.context, threads=how.threads)
        providers.append(embedded)
    if settings.providers.synthetic:
        providers.append(Synthetic())
    for name, endpoint in settings.endpoints.items():
        try:
            providers.append(provider_of(name, endpoint, on_decision))
        except ValueError as error:
            raise BadSettings(f"endpoints.{name}.base_url: {error}") from error
    return Catalog(providers, absent=absent)


def reach_of(endpoint: EndpointSettings) -> guard.Reach:
    """Return the reach of a configured endpoint: its own place and no other."""
    exempt = frozenset({guard.origin(endpoint.base_url)} if endpoint.allow_loopback else ())
    return guard.Reach(
        exempt=exempt,
        domains=guard.only(endpoint.base_url),
        connect_s=endpoint.connect_s,
        idle_s=max(endpoint.first_byte_s, endpoint.idle_s),
        total_s=endpoint.total_s,
    )


def reach_for(settings: Settings, purpose: str) -> guard.Reach:
    """Return where a purpose may reach by the settings: the public internet and its exemptions."""
    places: list[Place] = []
    if purpose == "provider":
        local = [each for each in settings.endpoints.values() if each.allow_loopback]
        places = [guard.origin(each.base_url) for each in local]
    return guard.Reach(purpose=purpose, exempt=frozenset(places))


def provider_of(name: str, each: EndpointSettings, on_decision: Told | None = None) -> Provider:
    """Return the provider behind one configured endpoint.

    Raises:
        ValueError: its base URL cannot be used.
    """
    from transports.egress.providers.compatible import Compatible, Endpoint  # noqa: PLC0415  slow

    return Compatible(
        Endpoint(
            name=name,
            base_url=each.base_url,
            models=each.models,
            wire=each.wire,
            vendor=each.vendor or vendor_of(each.base_url),
            api_key=each.api_key.reveal(),
            concurrency=each.concurrency,
            first_byte_s=each.first_byte_s,
            idle_s=each.idle_s,
            total_s=each.total_s,
            retries=each.retries,
            reach=replace(reach_of(each), on_decision=on_decision),
        )
    )


def webhooks_for(settings: Settings, on_decision: Told | None = None) -> Webhooks | None:
    """Return what delivers webhooks, where the settings allow them."""
    wanted = settings.streams
    if not wanted.webhooks:
        return None
    return Webhooks(loopback=wanted.webhook_loopback, on_decision=on_decision)
