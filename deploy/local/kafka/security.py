"""Security of a Kafka broker: certificates, and the administrator's credentials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from pydantic import BaseModel, ConfigDict, Field

from shared.clock import SystemClock

ADMIN = "admin"
"""The cluster's administrator: makes topics, users and rights. No process has its password."""

VALID_FOR = timedelta(days=3650)

PUBLIC_PROPERTIES = {
    "sasl.enabled.mechanisms": "SCRAM-SHA-512,PLAIN",
    "listener.name.controller.sasl.enabled.mechanisms": "PLAIN",
    "sasl.mechanism.inter.broker.protocol": "PLAIN",
    "sasl.mechanism.controller.protocol": "PLAIN",
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found": "false",
    "super.users": f"User:{ADMIN}",
}
"""Public values. The administrator uses PLAIN: its SCRAM user would have to exist before the storage does."""

KEYSTORE = "keystore.pem"
TRUSTSTORE = "truststore.pem"
JAAS = "jaas.conf"
_PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule"
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule"


class BrokerCertificate(BaseModel):
    """A broker's private key, its certificate and its authority's certificate; all PEM."""

    model_config = ConfigDict(frozen=True)

    key: str = Field(repr=False)
    certificate: str
    ca: str


def new_certificate(hosts: Sequence[str]) -> BrokerCertificate:
    """Create an authority and one certificate for these names and addresses; the authority's key is discarded."""
    authority, server = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name, name = _name("exitflow Kafka authority"), _name(hosts[0])
    ca = _builder(ca_name, ca_name, authority).add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
    leaf = _builder(name, ca_name, server).add_extension(
        x509.SubjectAlternativeName([_subject(host) for host in hosts]), critical=False
    )
    return BrokerCertificate(
        key=server.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        certificate=leaf.sign(authority, SHA256()).public_bytes(Encoding.PEM).decode(),
        ca=ca.sign(authority, SHA256()).public_bytes(Encoding.PEM).decode(),
    )


def _builder(name: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = SystemClock().now()
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + VALID_FOR)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _subject(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


@dataclass(frozen=True)
class KafkaSecurity:
    """The secrets of one broker."""

    certificate: BrokerCertificate
    admin_password: str

    def files(self) -> dict[str, str]:
        """Return the files with the secrets, by name; `file_properties` and `jaas_option` name them."""
        return {
            KEYSTORE: self.certificate.key + self.certificate.certificate,
            TRUSTSTORE: self.certificate.ca,
            JAAS: (
                "KafkaServer {\n"
                f'  {_PLAIN} required username="{ADMIN}" password="{self.admin_password}" '
                f'user_{ADMIN}="{self.admin_password}";\n'
                f"  {_SCRAM} required;\n"
                "};\n"
            ),
        }


def file_properties(directory: str) -> dict[str, str]:
    """Return the broker's properties for the files of certificates in a directory."""
    return {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": f"{directory}/{KEYSTORE}",
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": f"{directory}/{TRUSTSTORE}",
    }


def jaas_option(directory: str) -> str:
    """Return the option of the Java machine for the file of logins in a directory."""
    return f"-Djava.security.auth.login.config={directory}/{JAAS}"


def properties(values: dict[str, str]) -> str:
    """Return a Java properties file."""
    return "".join(f"{name}={value}\n" for name, value in values.items())
