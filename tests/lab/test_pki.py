"""The lab's certificates: chains that verify, and keys that only their owner reads."""

from __future__ import annotations

import base64
import ipaddress
import json
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lab.pki import Authority, Pair, kubeconfig


def _read(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_what_an_authority_signed_verifies_against_it_alone(tmp_path: Path) -> None:
    """A signed certificate verifies against its authority; against another of the same name it does not."""
    own, other = Authority(tmp_path / "own"), Authority(tmp_path / "other")
    signed = _read(own.sign("node", "system:node:node1", organizations=["system:nodes"]).cert)
    signed.verify_directly_issued_by(_read(own.cert))
    with pytest.raises(InvalidSignature):
        signed.verify_directly_issued_by(_read(other.cert))


def test_a_client_is_who_it_was_signed_as_and_no_server(tmp_path: Path) -> None:
    """Name and groups are in the subject; without hosts the certificate is a client's only."""
    signed = _read(Authority(tmp_path).sign("a", "jane", organizations=["team", "all"]).cert)
    names = [a.value for a in signed.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    groups = [a.value for a in signed.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    assert (names, groups) == (["jane"], ["team", "all"])
    usage = signed.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not signed.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_a_server_has_its_names_and_addresses(tmp_path: Path) -> None:
    """DNS names and addresses are told apart in the alternative names."""
    signed = _read(Authority(tmp_path).sign("a", "api", hosts=["kubernetes", "10.201.0.2"]).cert)
    names = signed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["kubernetes"]
    assert names.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address("10.201.0.2")]


def test_keys_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    """The authority's key and a signed one have mode 0600."""
    authority = Authority(tmp_path)
    pair = authority.sign("a", "a")
    for path in (pair.key, authority.pair.key):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_kubeconfig_holds_the_certificates_themselves(tmp_path: Path) -> None:
    """It works without the files that it was made of, and names its context."""
    authority = Authority(tmp_path)
    pair: Pair = authority.sign("a", "a")
    told = json.loads(kubeconfig("https://10.0.0.1:6443", authority.cert, pair, context="here"))
    user = told["users"][0]["user"]
    assert base64.b64decode(user["client-key-data"]) == pair.key.read_bytes()
    assert base64.b64decode(user["client-certificate-data"]) == pair.cert.read_bytes()
    assert told["clusters"][0]["cluster"]["server"] == "https://10.0.0.1:6443"
    assert told["current-context"] == "here"
    assert str(tmp_path) not in json.dumps(told)
