# SPDX-License-Identifier: Apache-2.0
"""net: namespaces and what joins them: veth pairs, routers, NAT, silent cuts."""

import ipaddress

from .world import LabError, delete_namespace

# The NICs of namespaces compute no checksums and join no segments: a gateway that reads frames must
# see what a wire would carry.
OFFLOADS = ["tx", "off", "rx", "off", "gso", "off", "tso", "off", "gro", "off", "lro", "off"]


class Namespace:
    """A network namespace of a World. `forward` makes it a router."""

    def __init__(self, world, name, forward=False):
        self.world = world
        self.name = name
        self.full = world.prefix + name
        world.run(["ip", "netns", "add", self.full])
        world.namespaces[name] = self
        # No duplicate address detection and no router solicitation: addresses serve at once and
        # the wire stays quiet.
        self.sysctl({"net.ipv6.conf.all.accept_dad": 0, "net.ipv6.conf.default.accept_dad": 0,
                     "net.ipv6.conf.default.accept_ra": 0, "net.ipv6.conf.all.accept_ra": 0,
                     "net.ipv6.conf.default.router_solicitations": 0,
                     "net.ipv4.conf.all.rp_filter": 0, "net.ipv4.conf.default.rp_filter": 0})
        if forward:
            self.sysctl({"net.ipv4.ip_forward": 1, "net.ipv6.conf.all.forwarding": 1})
        self.ip("link set lo up")

    def sysctl(self, values):
        self.world.run(["sysctl", "-qw"] + [f"{k}={v}" for k, v in values.items()], self)

    def ip(self, words):
        """`ip` in this namespace; `words` in one string."""
        return self.world.run(["ip", "-n", self.full] + words.split()).stdout

    def nft(self, rules):
        self.world.run(["nft", "-f", "-"], self, stdin=rules)

    def run(self, argv, **kw):
        return self.world.run(argv, self, **kw)

    def spawn(self, argv, name=None, **kw):
        return self.world.spawn(argv, self, name, **kw)

    def address(self, ifname, *addresses):
        for a in addresses:
            nodad = " nodad" if ":" in a else ""
            self.ip(f"addr add {a} dev {ifname}{nodad}")

    def route(self, prefix, via):
        six = "-6 " if ":" in via else ""
        self.ip(f"{six}route replace {prefix} via {via}")

    def has(self, ifname):
        return self.run(["ip", "link", "show", "dev", ifname], check=False).returncode == 0

    def remove(self):
        delete_namespace(self.full)
        self.world.namespaces.pop(self.name, None)


def link(a, a_if, b, b_if, mtu=1500):
    """A veth pair between two namespaces, both ends up, offloads off."""
    a.world.run(["ip", "link", "add", a_if, "mtu", mtu, "netns", a.full, "type", "veth",
                 "peer", "name", b_if, "mtu", mtu, "netns", b.full])
    for ns, ifname in ((a, a_if), (b, b_if)):
        ns.run(["ethtool", "-K", ifname] + OFFLOADS, check=False)
        offloads = ns.run(["ethtool", "-k", ifname]).stdout
        if "tx-checksumming: on" in offloads or "tcp-segmentation-offload: on" in offloads:
            raise LabError(f"the offloads of {ifname} do not go off")
        ns.ip(f"link set {ifname} up")


def bridge(ns, name, *members):
    """A bridge of interfaces that are in `ns` already."""
    ns.ip(f"link add {name} type bridge")
    for m in members:
        ns.ip(f"link set {m} master {name}")
    ns.ip(f"link set {name} up")


def silent(ns):
    """A router that does not tell of a host that gives no answer: a gateway may be away for as long as it takes on
    this machine to start, and what is said of it would be no traffic that belongs on the wire."""
    ns.nft("""table inet silent { chain out { type filter hook output priority 0; policy accept;
        icmp type destination-unreachable icmp code host-unreachable drop;
        icmpv6 type destination-unreachable drop; }; }\n""")


def nat(ns, outside_if, forward_to=None):
    """Masquerades what leaves by `outside_if` with random ports. `forward_to`: the inside address
    that IKE from outside reaches (500 and 4500)."""
    # Of a mapping that is gone nothing is told: most NATs are silent.
    rules = f"""table inet quiet {{
        chain out {{
            type filter hook output priority 0; policy accept;
            icmp type destination-unreachable drop
        }}
    }}
    table ip nat {{
        chain post {{
            type nat hook postrouting priority 100; policy accept;
            oifname "{outside_if}" masquerade random
        }}
        chain pre {{
            type nat hook prerouting priority -100; policy accept;
        """
    if forward_to:
        rules += f'iifname "{outside_if}" udp dport {{ 500, 4500 }} dnat to {forward_to}'
    ns.nft(rules + "\n}\n}\n")


def cut(ns, a, b=None):
    """Drops silently what `ns` forwards between addresses a and b (b None: everything of a)."""
    family = "ip6" if ipaddress.ip_address(a).version == 6 else "ip"
    src, dst = f"{family} saddr {a}", f"{family} daddr {a}"
    if b:
        src, dst = f"{src} {family} daddr {b}", f"{dst} {family} saddr {b}"
    ns.nft(f"""table inet cut {{
        chain forward {{ type filter hook forward priority 0; policy accept;
            {src} counter drop; {dst} counter drop; }}
    }}\n""")


def heal(ns):
    """Ends every cut."""
    ns.nft("table inet cut\ndelete table inet cut\n")
