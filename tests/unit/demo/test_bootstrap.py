"""Moving Envoy's files to the places of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from extauthz.config.metadata_document import to_routes_page
from extauthz.config.settings import Settings
from extauthz.demo.bootstrap import Places, adapt, find_connection_manager, find_ext_authz, uses_tls
from extauthz.processes.clusters import to_clusters_page

ENVOY = Path(__file__).parents[3] / "envoy"
PLACES = Places(
    listener=1, admin=2, clusters={"extauthz": 3, "upstream": 4}, access_log=Path("/x/access.log"), tls=Path("/x/tls")
)
FILES = ["minimal", "hardened"]


def load(name: str) -> dict[str, Any]:
    """Return a file of `envoy/`."""
    document: dict[str, Any] = yaml.safe_load((ENVOY / f"{name}.yaml").read_text())
    return document


def addresses(part: Any) -> list[tuple[str, int]]:
    """Return every socket address in `part`, in order."""
    if isinstance(part, list):
        return [found for item in part for found in addresses(item)]
    if not isinstance(part, dict):
        return []
    here = part.get("socket_address")
    found = [(here["address"], here["port_value"])] if here else []
    return found + [deeper for item in part.values() for deeper in addresses(item)]


@pytest.mark.parametrize("name", FILES)
def test_every_address_is_moved_to_loopback(name: str) -> None:
    """No address of the file survives: a test or demo run never listens beyond loopback."""
    assert sorted(addresses(adapt(load(name), PLACES))) == [("127.0.0.1", port) for port in (1, 2, 3, 4)]


@pytest.mark.parametrize("name", FILES)
def test_log_and_tls_files_are_moved(name: str) -> None:
    """The access log goes to the run's file, and TLS files come from the run's folder."""
    text = str(adapt(load(name), PLACES))
    assert "/x/access.log" in text
    assert "StdoutAccessLog" not in text
    assert "/etc/envoy/tls/" not in text
    assert uses_tls(load(name)) == ("/x/tls/server.pem" in text)


@pytest.mark.parametrize("name", FILES)
def test_the_filter_is_left_as_it_is(name: str) -> None:
    """Moving changes nothing of what is shown: the filter's settings are those of the file."""
    original = load(name)
    assert find_ext_authz(adapt(original, PLACES)) == find_ext_authz(original)
    assert original == load(name)


def test_unknown_cluster_is_an_error() -> None:
    """A cluster that the run does not place is not started on an address of chance."""
    with pytest.raises(KeyError):
        adapt(load("minimal"), Places(clusters={"extauthz": 3}, access_log=Path("/x")))


def test_missing_filter_is_an_error() -> None:
    """A bootstrap without ext_authz is found out."""
    document = load("minimal")
    find_connection_manager(document)["http_filters"] = []
    with pytest.raises(LookupError):
        find_ext_authz(document)


@pytest.mark.parametrize("name", FILES)
def test_files_fail_closed(name: str) -> None:
    """Neither file lets a request through without an answer, and both prove the proxy to extauthz."""
    settings = find_ext_authz(load(name))
    assert settings["failure_mode_allow"] is False
    assert settings["encode_raw_headers"] is True
    assert settings["grpc_service"]["initial_metadata"][0]["key"] == "x-extauthz-proxy-token"


def keys_in(part: Any) -> set[str]:
    """Return every key in `part`, at any depth."""
    if isinstance(part, list):
        return {key for item in part for key in keys_in(item)}
    return {*part, *keys_in([*part.values()])} if isinstance(part, dict) else set()


def test_no_file_hides_headers_from_a_proxy_that_is_said_to_show_all() -> None:
    """The example settings say so of the proxy that runs any of these files, with whatever we print for them."""
    example = yaml.safe_load((ENVOY.parent / "examples" / "demo" / "settings.yaml").read_text())
    example["profiles"]["default"]["metadata"] = {}
    settings = Settings.model_validate(example)
    assert [proxy.shows_all_headers for proxy in settings.proxies] == [True]
    documents = [*(path.read_text() for path in ENVOY.iterdir()), to_clusters_page(settings), to_routes_page(settings)]
    assert len(documents) >= 4
    for document in documents:
        assert not {"allowed_headers", "disallowed_headers"} & keys_in(yaml.safe_load(document))
    # The control: the same look finds one that is there.
    hiding = load("minimal")
    find_ext_authz(hiding)["disallowed_headers"] = {"patterns": [{"exact": "cookie"}]}
    assert "disallowed_headers" in keys_in(hiding)


def test_minimal_is_short() -> None:
    """A newcomer reads the minimal file in one go."""
    assert len((ENVOY / "minimal.yaml").read_text().splitlines()) < 90


def test_hardened_has_every_recommended_setting() -> None:
    """The normalisation and trust settings that we recommend are all in the hardened file."""
    manager = find_connection_manager(load("hardened"))
    settings = find_ext_authz(load("hardened"))
    assert manager["normalize_path"] is True
    assert manager["merge_slashes"] is True
    assert manager["path_with_escaped_slashes_action"] == "REJECT_REQUEST"
    assert manager["strip_matching_host_port"] is True
    assert manager["use_remote_address"] is True
    assert manager["forward_client_cert_details"] == "SANITIZE"
    assert manager["common_http_protocol_options"]["headers_with_underscores_action"] == "REJECT_REQUEST"
    assert manager["common_http_protocol_options"]["max_stream_duration"] == "3600s"
    for option in ("validate_mutations", "include_peer_certificate", "include_tls_session"):
        assert settings[option] is True
