"""Settings: where each may come from, which source wins, and what a wrong one is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from node.core.cluster import Quorums
from node.core.limits import LABEL_BYTES_MAX, VALUE_BYTES_CEILING, WEIGHT_MAX
from node.runtime.config import OPTIONS, NodeSettings, Option, SettingError, StartError, load_settings

HOME = {"HOME": "/home/ada"}


def load(tmp_path: Path, toml: str = "", environ: dict[str, str] | None = None, **flags: Any) -> NodeSettings:
    if toml:
        (tmp_path / "dyn.toml").write_text(toml)
    return load_settings(environ={**HOME, **(environ or {})}, cwd=tmp_path, **flags)


def test_nothing_given_is_the_default(tmp_path: Path) -> None:
    settings = load(tmp_path)
    assert settings.name is None
    assert (settings.port, settings.peer_port, settings.http_port) == (7700, 7800, 7900)
    assert (settings.cluster, settings.listen, settings.nrw) == ("dyn", "127.0.0.1", Quorums(3, 2, 2))
    assert settings.data_dir == Path("/home/ada/.local/share/dyn/dyn/n7700")


def test_other_ports_and_the_data_directory_follow_port_name_and_cluster(tmp_path: Path) -> None:
    settings = load(tmp_path, environ={"XDG_DATA_HOME": "/data"}, port=25000, name="n1", cluster="shop")
    assert (settings.peer_port, settings.http_port) == (25100, 25200)
    assert settings.data_dir == Path("/data/dyn/shop/n1")


@pytest.mark.parametrize(
    ("toml", "environ", "flags", "port"),
    [
        ("port = 1001", {"DYN_PORT": "1002"}, {"port": 1003}, 1003),
        ("port = 1001", {"DYN_PORT": "1002"}, {}, 1002),
        ("port = 1001", {}, {}, 1001),
        ("port = 1001", {"DYN_PORT": ""}, {"port": None}, 1001),
    ],
)
def test_flag_before_environment_before_file(
    tmp_path: Path, toml: str, environ: dict[str, str], flags: dict[str, Any], port: int
) -> None:
    assert load(tmp_path, toml, environ, **flags).port == port


def test_the_file_may_be_named_and_its_paths_start_from_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "my.toml").write_text('name = "n9"\ndata-dir = "data"\njoin = [":7800", "n1.example:7800"]\n')
    for settings in (load(tmp_path, config="etc/my.toml"), load(tmp_path, environ={"DYN_CONFIG": "etc/my.toml"})):
        assert settings.name == "n9"
        assert settings.data_dir == folder / "data"
        assert settings.join == ("127.0.0.1:7800", "n1.example:7800")


@pytest.mark.parametrize(
    ("flags", "field", "value"),
    [
        ({"nrw": "5/3/3"}, "nrw", Quorums(5, 3, 3)),
        ({"listen": "localhost"}, "listen", "127.0.0.1"),
        ({"listen": "::1"}, "listen", "::1"),
        ({"max_value_bytes": "2M"}, "max_value_bytes", 2 << 20),
        ({"max_value_bytes": 4096}, "max_value_bytes", 4096),
        ({"partitions": 64}, "partitions", 64),
        ({"join": ["127.0.0.1:7800", "127.0.0.1:7800"]}, "join", ("127.0.0.1:7800",)),
        ({"join": []}, "join", ()),
        ({"allow_faults": True}, "allow_faults", True),
        ({"seat": "0123456789abcdef" * 2}, "seat", "0123456789abcdef" * 2),
        ({"allow_faults": False}, "allow_faults", False),
        ({"durability": "normal"}, "durability", "normal"),
        ({"zone": "a"}, "zone", "a"),
        ({"data_dir": "x"}, "data_dir", None),
    ],
)
def test_good_values(tmp_path: Path, flags: dict[str, Any], field: str, value: object) -> None:
    assert getattr(load(tmp_path, **flags), field) == (tmp_path / "x" if value is None else value)


def test_environment_lists_are_separated_by_commas_and_switches_are_words(tmp_path: Path) -> None:
    settings = load(tmp_path, environ={"DYN_JOIN": ":7800, :7801", "DYN_ALLOW_FAULTS": "yes", "DYN_PASSWORD": "s3cret"})
    assert settings.join == ("127.0.0.1:7800", "127.0.0.1:7801")
    assert settings.allow_faults
    assert settings.password == b"s3cret"


@pytest.mark.parametrize(
    ("flags", "allowed"),
    [
        ({"port": "99999"}, "1 to 65535"),
        ({"port": "0"}, "1 to 65535"),
        ({"port": "-1"}, "1 to 65535"),
        ({"port": "٣"}, "1 to 65535"),
        ({"name": "../n1"}, "letters, digits"),
        ({"name": "n" * (LABEL_BYTES_MAX + 1)}, f"{LABEL_BYTES_MAX} at most"),
        ({"cluster": ""}, "letters, digits"),
        ({"listen": "example.org"}, "an IP address"),
        ({"join": ["n1"]}, "HOST:PEERPORT"),
        ({"join": [f"h:{port}" for port in range(1, 100)]}, "64 are allowed"),
        ({"discover": "dns"}, "mdns and none"),
        ({"seat": "n3"}, "32 hex digits"),
        ({"weight": "0"}, f"1 to {WEIGHT_MAX}"),
        ({"weight": str(WEIGHT_MAX + 1)}, f"1 to {WEIGHT_MAX}"),
        ({"nrw": "3/4/2"}, "N/R/W"),
        ({"nrw": "3/0/2"}, "N/R/W"),
        ({"nrw": "99/1/1"}, "N at most 16"),
        ({"partitions": "100"}, "power of two"),
        ({"partitions": "8192"}, "at most 4096"),
        ({"durability": "none"}, "full, normal and memory"),
        ({"max_value_bytes": VALUE_BYTES_CEILING + 1}, "1K to 16M"),
        ({"log_format": "xml"}, "text and json"),
    ],
)
def test_a_wrong_flag_is_named_with_its_value_and_what_is_allowed(
    tmp_path: Path, flags: dict[str, Any], allowed: str
) -> None:
    with pytest.raises(SettingError) as caught:
        load(tmp_path, **flags)
    (field, _), *_ = flags.items()
    assert caught.value.message.startswith(f"--{field.replace('_', '-')} is ")
    assert allowed in caught.value.message


def test_the_source_of_a_wrong_value_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="environment variable DYN_WEIGHT is 'heavy'"):
        load(tmp_path, environ={"DYN_WEIGHT": "heavy"})
    with pytest.raises(SettingError, match=r"peer-port in .*/dyn\.toml is 'True': a text or a whole number"):
        load(tmp_path, "peer-port = true")


@pytest.mark.parametrize(
    ("toml", "why"),
    [("prot = 1", "sets prot, which is no setting"), ("port = ", "is not TOML"), ("data-dir = 7", "a path is needed")],
)
def test_a_wrong_file(tmp_path: Path, toml: str, why: str) -> None:
    with pytest.raises(SettingError, match=why):
        load(tmp_path, toml)


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"cannot read the configuration file .*no\.toml: No such file"):
        load(tmp_path, config="no.toml")


def test_ports_must_differ_and_fit(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="--http-port and --peer-port are both 7800"):
        load(tmp_path, http_port=7800)
    with pytest.raises(SettingError, match="leaves no room for the default --peer-port"):
        load(tmp_path, port=65500)


@pytest.mark.parametrize(
    ("flags", "environ", "missing"),
    [
        ({}, {}, ["a cluster key and a client password", "--key-file", "--password-file", "openssl"]),
        ({"key_file": "k"}, {}, ["has not a client password", "--password-file"]),
        ({"password_file": "p"}, {}, ["has not a cluster key", "--key-file"]),
        ({"key_file": "k"}, {"DYN_PASSWORD": "x"}, []),
        ({"password_file": "p"}, {"DYN_KEY": "x"}, []),
        ({"key_file": "k", "password_file": "p"}, {}, []),
    ],
)
def test_others_may_reach_only_a_node_with_key_and_password(
    tmp_path: Path, flags: dict[str, Any], environ: dict[str, str], missing: list[str]
) -> None:
    for address in ("0.0.0.0", "192.0.2.7", "::"):
        if not missing:
            assert load(tmp_path, environ=environ, listen=address, **flags).listen == address
            continue
        with pytest.raises(StartError) as caught:
            load(tmp_path, environ=environ, listen=address, **flags)
        assert not isinstance(caught.value, SettingError)
        for words in missing:
            assert words in str(caught.value)


WORDS = {
    "seat": "0123456789abcdef" * 2,
    "listen": "127.0.0.2",
    "discover": "none",
    "nrw": "1/1/1",
    "durability": "memory",
    "log_format": "json",
    "log_level": "error",
}


@pytest.mark.parametrize("option", [option for option in OPTIONS if not option.field.startswith("tls")])
def test_every_setting_has_a_variable_and_a_line(tmp_path: Path, option: Option) -> None:
    word = WORDS.get(option.field, "127.0.0.1:8000" if option.field == "join" else "512")
    word = "true" if option.kind == "switch" else "2048" if option.field == "max_value_bytes" else word
    by_variable = load(tmp_path, environ={f"DYN_{option.field.upper()}": word})
    by_line = load(tmp_path, f'{option.field.replace("_", "-")} = "{word}"')
    spelled = option.field.replace("_", "-")
    assert dict(by_variable.origins) == {spelled: f"environment variable DYN_{option.field.upper()}"}
    assert dict(by_line.origins) == {spelled: f"{spelled} in {tmp_path / 'dyn.toml'}"}
    assert by_variable._replace(origins=()) == by_line._replace(origins=())
    assert by_line._replace(origins=()) != load_settings(environ=HOME, cwd=tmp_path / "elsewhere")


@pytest.mark.parametrize("given", [{"tls_cert"}, {"tls_key", "tls_ca"}, {"tls_cert", "tls_key"}])
def test_tls_takes_all_three_files_or_none(tmp_path: Path, given: set[str]) -> None:
    files = dict.fromkeys(("tls_cert", "tls_key", "tls_ca"), "x.pem")
    settings = load(tmp_path, **files)
    assert (settings.tls_cert, settings.tls_key, settings.tls_ca) == (tmp_path / "x.pem",) * 3
    with pytest.raises(SettingError) as caught:
        load(tmp_path, **{field: files[field] for field in given})
    missing = [f"--{field.replace('_', '-')}" for field in files if field not in given]
    assert str(caught.value) == (
        f"TLS takes a certificate, its key and the CA; not given: {', '.join(missing)}. "
        "Name all three, or none: --tls-cert FILE --tls-key FILE --tls-ca FILE"
    )


def test_faults_are_for_loopback_alone(tmp_path: Path) -> None:
    """Key and password do not change that: whoever is let in could break the node."""
    assert load(tmp_path, listen="::1", allow_faults=True).allow_faults
    environ = {"DYN_KEY": "k" * 32, "DYN_PASSWORD": "s3cret"}
    with pytest.raises(StartError) as caught:
        load(tmp_path, listen="192.0.2.7", allow_faults=True, environ=environ)
    assert str(caught.value) == (
        "--allow-faults lets any client cut, stop and spoil this node, and 192.0.2.7 can be reached from other "
        "machines: leave it out, or listen on 127.0.0.1"
    )
