"""The catalog knows which models there are, who answers for them, and why one is missing."""

from __future__ import annotations

import pytest

from runtime.problems import Invalid
from transports.egress.providers.catalog import Catalog
from transports.egress.providers.compatible import Compatible, Endpoint
from transports.egress.providers.echo import Echo
from transports.egress.providers.synthetic import Synthetic


def test_a_model_is_found_with_its_provider() -> None:
    echo, synthetic = Echo(), Synthetic()
    catalog = Catalog([synthetic, echo])
    assert catalog.find("synthetic/tokens") == (synthetic, synthetic.models[0])
    assert catalog.find(None) == (echo, echo.models[0])
    assert [model.id for model in catalog.models()] == ["echo", "synthetic/tokens"]


def test_the_settings_name_the_default() -> None:
    catalog = Catalog([Echo(), Synthetic()], default="synthetic/tokens")
    assert catalog.find(None)[1].id == "synthetic/tokens"


@pytest.mark.parametrize(
    ("wanted", "detail"),
    [
        ("nobody/knows", "There is no such model."),
        ("", "There is no such model."),
        ("local/smollm2", "It is not installed."),
    ],
)
def test_an_unknown_model_is_refused_with_the_reason_where_one_is_known(
    wanted: str, detail: str
) -> None:
    catalog = Catalog([Echo()], absent={"local/smollm2": "It is not installed."})
    with pytest.raises(Invalid) as refusal:
        catalog.find(wanted)
    assert refusal.value.extensions["errors"] == [{"pointer": "/model", "detail": detail}]


def test_a_default_that_is_not_there_is_found_out_at_the_start() -> None:
    with pytest.raises(Invalid):
        Catalog([Echo()], default="synthetic/tokens")


def test_an_endpoint_that_changes_offers_its_new_models_only() -> None:
    catalog = Catalog([Echo()])
    old, new = Synthetic(), Synthetic()
    assert catalog.put(old) is None
    assert catalog.put(new) is old
    assert catalog.find("synthetic/tokens")[0] is new
    assert catalog.remove("synthetic") is new
    assert (catalog.at("synthetic"), catalog.remove("synthetic")) == (None, None)
    assert [model.id for model in catalog.models()] == ["echo"]


def test_two_providers_cannot_offer_one_model() -> None:
    with pytest.raises(Invalid):
        Catalog([Echo(), Echo()])


def test_an_endpoint_that_names_a_model_twice_has_it_once_and_can_go() -> None:
    twice = Endpoint(name="far", base_url="https://far.example", models=("m", "m"))
    catalog = Catalog([Echo(), Compatible(twice)])
    catalog.overlay("far/m", {"context": 5000})
    assert catalog.find("far/m")[1].context == 5000
    gone = catalog.remove("far")
    assert gone is not None
    assert [model.id for model in gone.models] == ["far/m"]
    assert [model.id for model in catalog.models()] == ["echo"]
