"""How far IP addresses reach, and how hosts become addresses and these connections."""

from __future__ import annotations

import ipaddress
import socket

import urllib3

NOWHERE, MACHINE, LINK, PRIVATE, PUBLIC = range(-1, 4)  # how far an address reaches
NAT64 = ipaddress.ip_network("64:ff9b::/96")


class Network:
    """How the name of a host becomes addresses, and an address a connection: those of this
    machine."""

    def addresses(self, host: str, port: int) -> list[str]:
        """IPv4 and IPv6 addresses of `host`, the best first. Raises OSError."""
        entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(entry[4][0] for entry in entries))

    def connect(self, address: str, port: int, **options) -> socket.socket:
        """Raises OSError."""
        return urllib3.util.connection.create_connection((address, port), **options)


def reach(address: str) -> int:
    """How far an IP address reaches: NOWHERE (multicast, reserved), this MACHINE, its LINK, PRIVATE
    networks, PUBLIC. One of IPv6 that stands for one of IPv4 reaches as far as that.

    Raises ValueError if it is none.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if ip.version == 6:
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo and ip.teredo[1])
        if ip in NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner:
            return reach(str(inner))
    if ip.is_loopback:
        return MACHINE
    if ip.is_unspecified or ip.is_multicast:
        return NOWHERE
    if ip.is_link_local:
        return LINK
    if ip.is_reserved:
        return NOWHERE
    return PUBLIC if ip.is_global and not getattr(ip, "is_site_local", False) else PRIVATE


def written_address(host: str) -> str | None:
    """The IP address that `host` is, however it is written (2130706433, localhost); None for a
    name."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except (OSError, UnicodeError):
        name = host.rstrip(".").lower()
        return "127.0.0.1" if name == "localhost" or name.endswith(".localhost") else None
