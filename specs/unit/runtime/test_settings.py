"""Settings come from flags, environment and file, in that order; what is wrong is named."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import pytest

from runtime.secret import Secret
from runtime.sections import SECTIONS, TABLES
from runtime.settings import BadSettings, Endpoint, Settings, load, settings_table


def toml(folder: Path, text: str) -> Path:
    file = folder / "runchat.toml"
    file.write_text(text, encoding="utf-8")
    return file


def refusal(**environ: str) -> str:
    with pytest.raises(BadSettings) as caught:
        load(environ=environ)
    return caught.value.detail


def test_without_any_the_defaults_hold() -> None:
    settings = load()

    assert settings == Settings()
    assert (settings.server.host, settings.server.port) == ("127.0.0.1", 8787)
    assert settings.server.shutdown_grace_s == 10
    assert settings.providers.synthetic is False


def test_the_file_gives_way_to_the_environment_and_that_to_flags(tmp_path: Path) -> None:
    file = toml(tmp_path, '[server]\nport = 1\npublic_url = "file"\n[local]\nthreads = 4\n')
    environ = {"RUNCHAT_SERVER__PORT": "2", "RUNCHAT_SERVER__PUBLIC_URL": "environment"}
    settings = load(file, environ, {"server.port": 3, "local.context": None})

    assert settings.server.port == 3
    assert settings.server.public_url == "environment"
    assert settings.local.threads == 4
    assert settings.local.context == 2048


def test_the_environment_speaks_every_type() -> None:
    settings = load(
        environ={
            "RUNCHAT_SERVER__PORT": "0",
            "RUNCHAT_SERVER__SHUTDOWN_GRACE_S": "2.5",
            "RUNCHAT_SERVER__ALLOWED_HOSTS": "one.example, two.example,",
            "RUNCHAT_PROVIDERS__SYNTHETIC": "TRUE",
            "RUNCHAT_LOG__FORMAT": "json",
            "HOME": "not ours",
            "RUNCHAT_TOKEN": "no setting",
        }
    )

    assert settings.server.port == 0
    assert settings.server.shutdown_grace_s == 2.5
    assert settings.server.allowed_hosts == ("one.example", "two.example")
    assert settings.providers.synthetic is True
    assert settings.log.format == "json"


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ('["one.example", "two.example"]', ("one.example", "two.example")),
        ("[]", ()),
        ("[::1], one.example", ("[::1]", "one.example")),
    ],
)
def test_a_list_in_the_environment_may_be_json(text: str, hosts: tuple[str, ...]) -> None:
    settings = load(environ={"RUNCHAT_SERVER__ALLOWED_HOSTS": text})

    assert settings.server.allowed_hosts == hosts


def test_a_list_of_other_things_is_named() -> None:
    said = refusal(RUNCHAT_SERVER__ALLOWED_HOSTS="[1]")

    assert said.startswith("server.allowed_hosts in the environment")
    assert said.endswith("must be a list of strings")


def test_an_endpoint_is_a_table_under_a_name_of_ones_own(tmp_path: Path) -> None:
    file = toml(
        tmp_path,
        """
        [endpoints.my-llm]
        base_url = "https://llm.example/v1"
        models = ["large", "small"]
        """,
    )
    environ = {
        "RUNCHAT_ENDPOINTS__MY_LLM__API_KEY": "sk-made-up",
        "RUNCHAT_ENDPOINTS__OTHER__BASE_URL": "http://127.0.0.1:9",
        "RUNCHAT_ENDPOINTS__OTHER__ALLOW_LOOPBACK": "yes",
    }

    assert load(file, environ).endpoints == {
        "my-llm": Endpoint(
            base_url="https://llm.example/v1",
            models=("large", "small"),
            api_key=Secret("sk-made-up"),
        ),
        "other": Endpoint(base_url="http://127.0.0.1:9", allow_loopback=True),
    }


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("RUNCHAT_SERVER__PROT", "server.prot, did you mean server.port?"),
        ("RUNCHAT_SERVER_PORT", "server_port, did you mean server.port?"),
        ("RUNCHAT_ENDPOINTS__X__MODEL", "endpoints.x.model, did you mean endpoints.x.models?"),
        ("RUNCHAT_ENDPOINTS__X", "endpoints.x, did you mean endpoints.x.wire?"),
    ],
)
def test_an_unknown_name_is_named_with_the_nearest_that_is_known(variable: str, said: str) -> None:
    name, nearest = said.split(", ")

    assert refusal(**{variable: "1"}) == (
        f"Unknown setting {name} in the environment ({variable}); {nearest}"
    )


def test_a_name_unlike_any_other_is_named_alone() -> None:
    assert refusal(RUNCHAT_ZZZZZZ__QQQQQQ="1") == (
        "Unknown setting zzzzzz.qqqqqq in the environment (RUNCHAT_ZZZZZZ__QQQQQQ)"
    )


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[sever]\nport = 1", "sever.port"),
        ("[server]\nprot = 1", "server.prot"),
        ("[server.port]\nx = 1", "server.port"),
        ("port = 1", "Unknown setting port"),
        ("[endpoints]\nx = 1", "endpoints.x"),
        ("[endpoints.x]", "endpoints.x.base_url"),
        ("[endpoints.echo]\nbase_url = 'http://x'", "endpoints.echo"),
        ("[endpoints.'Not this']\nbase_url = 'http://x'", "endpoints.Not this"),
        ("[endpoints.x]\nbase_url = 'ftp://x'", "endpoints.x.base_url"),
        ("[server]\nport = '80x'", "server.port"),
        ("[server]\nport = true", "server.port"),
        ("[server]\nport = 1.5", "server.port"),
        ("[server]\nport = 65536", "server.port"),
        ("[server]\nport = -1", "server.port"),
        ("[server]\nshutdown_grace_s = nan", "server.shutdown_grace_s"),
        ("[server]\nhost = 1", "server.host"),
        ("[server]\nbehind_proxy = 1", "server.behind_proxy"),
        ("[server]\ncors_origins = [1]", "server.cors_origins"),
        ("[log]\nlevel = 'loud'", "log.level"),
        ("[server]\ntls_cert = 'a.pem'", "server.tls_cert and server.tls_key"),
        ("[server]\nbehind_proxy = true", "server.trusted_proxies"),
        ("[server]\nhost = '0.0.0.0'", "server.host 0.0.0.0 wants"),
        ("[server]\nhost = 'host.example'", "server.host host.example wants"),
        ("[server", "runchat.toml cannot be read"),
    ],
)
def test_what_cannot_be_in_the_file_is_named(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(BadSettings) as caught:
        load(toml(tmp_path, text))

    assert named in caught.value.detail


UP = "RUNCHAT_ENDPOINTS__UP__"
URL = "https://llm.example/v1"


@pytest.mark.parametrize(
    "key", ["sk-1\n", " sk-1", "sk 1", "sk-1\r\nX: 1", "sk-\x7f", "sk-\u00e9", "sk-\udc80"]
)
def test_a_key_that_no_header_can_carry_is_refused_and_not_shown(key: str) -> None:
    assert refusal(**{f"{UP}BASE_URL": URL, f"{UP}API_KEY": key}) == (
        "endpoints.up.api_key must be of ASCII letters, digits and signs, "
        "without a space or line end"
    )


@pytest.mark.parametrize(
    "name",
    ["", " ", " a", "a ", "a\n", "a\tb", "a\u00a0b", "\x00", "\udc80", "..", "a/../b", "./a"],
)
def test_what_can_be_no_models_name_is_refused_with_its_place(name: str) -> None:
    models = json.dumps(["right", name])
    assert refusal(**{f"{UP}BASE_URL": URL, f"{UP}MODELS": models}) == (
        "endpoints.up.models.1 must be a name in one line, with no space round it, "
        "and no way up a path"
    )


def test_the_names_that_vendors_give_their_models_are_taken() -> None:
    names = ["models/x", "org/model:free", "m@2024-01-01", "a..b", "v1.5?", "a&b#c", "\u6a21\u578b"]
    names += ["Llama 3 8B Instruct"]
    models = json.dumps(names)
    settings = load(environ={f"{UP}BASE_URL": URL, f"{UP}MODELS": models})
    assert list(settings.endpoints["up"].models) == names


@pytest.mark.parametrize(
    "url", [f"{URL}?a=b", f"{URL}?", f"{URL}#f", "https://me:pw@llm.example/v1", "https://", "/v1"]
)
def test_a_base_url_is_one_to_which_a_path_can_be_added(url: str) -> None:
    assert refusal(**{f"{UP}BASE_URL": url}) == (
        "endpoints.up.base_url must be an http or https URL, without user, query and fragment"
    )


def test_a_value_that_cannot_be_is_not_repeated() -> None:
    detail = refusal(RUNCHAT_SERVER__PORT="sk-pasted-into-the-wrong-line")

    assert detail == (
        "server.port in the environment (RUNCHAT_SERVER__PORT) must be a whole number"
    )


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadSettings) as caught:
        load(tmp_path / "absent.toml")

    assert "absent.toml cannot be read" in caught.value.detail


def test_every_loopback_address_may_be_bound_without_tls() -> None:
    for host in ("127.0.0.1", "127.8.9.10", "::1", "localhost"):
        assert load(flags={"server.host": host}).server.host == host


def test_others_may_be_bound_with_tls_or_behind_a_proxy() -> None:
    tls = {"server.host": "::", "server.tls_cert": "a", "server.tls_key": "b"}
    proxied = {"server.behind_proxy": True, "server.trusted_proxies": ["10.0.0.1"]}

    assert load(flags=tls).server.host == "::"
    assert load(flags={"server.host": "0.0.0.0", **proxied}).server.host == "0.0.0.0"  # noqa: S104


def test_an_unknown_flag_is_named() -> None:
    with pytest.raises(BadSettings, match=r"Unknown setting server.hots in a flag"):
        load(flags={"server.hots": "x"})


def test_the_table_has_a_line_for_every_setting() -> None:
    lines = settings_table().splitlines()
    count = sum(len(fields(section)) for section in (*SECTIONS.values(), *TABLES.values()))

    assert len(lines) == 2 + count
    assert "| `server.port` | `8787` | port to bind; 0 is a free one |" in lines
    assert "| `endpoints.NAME.api_key` |  | its key; never shown or logged |" in lines
    assert (
        "| `providers.synthetic` | `false` | offer `synthetic/tokens`, a load generator |" in lines
    )


def test_a_proxy_that_is_no_address_is_named() -> None:
    with pytest.raises(BadSettings, match=r"server\.trusted_proxies.*10\.0\.0\.0/99"):
        load(flags={"server.trusted_proxies": "10.0.0.0/99"})
