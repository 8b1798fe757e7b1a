# SPDX-License-Identifier: Apache-2.0
"""peers: other implementations beside ours, in one run on one machine. What cannot be built or started
gives a row that says so.

DPDK's ipsec-secgw is measured from outside: CPU time of its one thread for each packet, with packets
from net_pcap; what net_pcap itself costs is measured in the same way with testpmd and subtracted.
Ours comes from rings whose filling is not timed (dp_bench). So neither's packet source counts."""

import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EXAMPLE = Path("/usr/share/dpdk/examples")
KEY = ":".join(f"{i:02x}" for i in list(range(16)) * 2 + [0xde, 0xad, 0xbe, 0xef])
EAL = ["--lcores", "0@(0-{last})", "-m", "512", "--no-huge", "--no-shconf", "--no-pci", "--iova-mode=va", "--no-telemetry"]
N_PACKETS = 256
SIZES = ("64", "576", "1420")
STREAM_S = 4


class Unavailable(Exception):
    pass


# ---- packets -------------------------------------------------------------------------------------

def frame(size):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, size, 0, 0x4000, 64, 17, 0, bytes([10, 0, 1, 1]), bytes([16, 0, 0, 1]))
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xffff) + (total >> 16)
    head = head[:10] + struct.pack("!H", ~((total & 0xffff) + (total >> 16)) & 0xffff) + head[12:]
    return bytes.fromhex("020000000001" "020000000909" "0800") + head + struct.pack("!HHHH", 1024, 1025, size - 20, 0) + \
        b"Z" * (size - 28)


def write_pcap(path, frames):
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for b in frames:
            f.write(struct.pack("<IIII", 0, 0, len(b), len(b)) + b)


# ---- ipsec-secgw ---------------------------------------------------------------------------------

def secgw(build):
    """The program, built from Debian's package in the build folder."""
    folder = build / "ipsec-secgw"
    program = folder / "src" / "ipsec-secgw" / "build" / "ipsec-secgw"
    if program.exists():
        return program
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    source = EXAMPLE
    if not (source / "ipsec-secgw").is_dir():  # not installed: only looked into
        r = subprocess.run(["apt-get", "-q", "download", "dpdk-doc"], cwd=folder, capture_output=True, text=True)
        deb = next(folder.glob("dpdk-doc*.deb"), None)
        if r.returncode or not deb:
            raise Unavailable("the package dpdk-doc, which has its source, cannot be had: " + r.stderr.strip()[-200:])
        subprocess.run(["dpkg-deb", "-x", deb, folder / "x"], check=True)
        source = folder / "x" / EXAMPLE.relative_to("/")
    for name in ("ipsec-secgw", "common"):
        shutil.copytree(source / name, folder / "src" / name)
    main = folder / "src" / "ipsec-secgw" / "ipsec-secgw.c"
    # net_pcap checks no checksums, and the program would insist.
    main.write_text(main.read_text().replace(".offloads = RTE_ETH_RX_OFFLOAD_CHECKSUM", ".offloads = 0"))
    r = subprocess.run(["make", "shared"], cwd=main.parent, capture_output=True, text=True)
    if r.returncode or not program.exists():
        raise Unavailable("it does not build: " + (r.stderr or r.stdout).strip()[-200:])
    return program


def secgw_config(path):
    """Both directions with one key, so that what it sends is also what it takes."""
    sa = f"aead_algo aes-256-gcm aead_key {KEY} mode ipv4-tunnel src 192.0.2.1 dst 192.0.2.2 type cpu-crypto\n"
    path.write_text(
        "sp ipv4 in esp protect 5 pri 1 dst 16.0.0.0/8 sport 0:65535 dport 0:65535\n"
        "sp ipv4 out esp protect 5 pri 1 dst 16.0.0.0/8 sport 0:65535 dport 0:65535\n"
        "sa out 5 " + sa + "sa in 5 " + sa +
        "rt ipv4 dst 192.0.2.2/32 port 1\nrt ipv4 dst 16.0.0.0/8 port 0\n"
        "neigh port 0 02:00:00:00:00:02\nneigh port 1 02:00:00:00:00:03\n")


def cpu_ns(pid):
    """By thread."""
    return {t: int(Path(f"/proc/{pid}/task/{t}/schedstat").read_text().split()[0]) for t in os.listdir(f"/proc/{pid}/task")}


def busiest(before, after):
    """What the thread that worked had of the CPU in between."""
    return max(after[t] - before.get(t, 0) for t in after)


def ns_per_packet(argv, pattern, folder, seconds=4):
    """Runs the program, which prints its count every second; the least CPU time of a packet in any of them."""
    out = open(folder / "out", "w+b")
    p = subprocess.Popen(["stdbuf", "-oL", *(str(a) for a in argv)], stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    at = []
    try:
        end = time.monotonic() + seconds + 15
        while len(at) <= seconds and time.monotonic() < end and p.poll() is None:
            time.sleep(0.002)
            text = (folder / "out").read_bytes().decode(errors="replace")
            n = re.findall(pattern, text)
            if len(n) > (at[-1][0] if at else 0):
                at.append((len(n), int(n[-1]), cpu_ns(p.pid)))
    finally:
        p.terminate()
        try:
            p.wait(10)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()
        out.close()
    costs = [busiest(c1, c2) / (n2 - n1) for (_, n1, c1), (_, n2, c2) in zip(at[1:], at[2:]) if n2 > n1]
    if not costs:
        text = (folder / "out").read_text(errors="replace")
        raise Unavailable("it counts no packets: " + " / ".join(text.strip().splitlines()[-3:])[-300:])
    return min(costs)


def eal(name):
    last = (os.cpu_count() or 1) - 1
    return [a.format(last=last) for a in EAL] + [f"--file-prefix=bench-{name}-{os.getpid()}"]


def source_ns(pcap, folder):
    """What net_pcap costs: testpmd passes its packets to net_null."""
    return ns_per_packet(
        ["dpdk-testpmd", "-l", "0,1" if os.cpu_count() > 1 else "0", *eal("pmd")[2:],
         "--vdev", f"net_pcap0,rx_pcap={pcap},infinite_rx=1", "--vdev", "net_null0,no-rx=1", "--",
         "--forward-mode=io", "--stats-period=1", "--burst=32", "--nb-cores=1", "--total-num-mbufs=8192", "--no-lsc-interrupt"],
        r"RX-packets: (\d*[1-9]\d*) ", folder)


def secgw_argv(program, vdevs, config):
    return [program, *eal("secgw"), *[a for v in vdevs for a in ("--vdev", v)], "--vdev", "crypto_aesni_gcm0", "--",
            "-p", "0x3", "-P", "-u", "0x2", "-l", "-w", "0", "-t", "1", "--config", "(0,0,0),(1,0,0)", "-f", config]


def capture_esp(program, folder, plain, config):
    """Lets it encapsulate a few packets into a file, for decapsulation."""
    esp = folder / "esp.pcap"
    argv = secgw_argv(program, [f"net_pcap0,rx_pcap={plain}", f"net_pcap1,rx_pcap={folder / 'none.pcap'},tx_pcap={esp}"], config)
    write_pcap(folder / "none.pcap", [])
    p = subprocess.Popen([str(a) for a in argv], stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
    time.sleep(4)
    p.terminate()
    p.wait(20)
    if not esp.exists() or esp.stat().st_size < 1000:
        raise Unavailable("it makes no ESP packets for the decapsulation")
    return esp


def secgw_rows(build, ours, hz, sizes, quick):
    seconds = 2 if quick else 5
    program = secgw(build)
    for size in sizes:
        with tempfile.TemporaryDirectory() as d:
            folder = Path(d)
            config, plain = folder / "gw.cfg", folder / "plain.pcap"
            secgw_config(config)
            write_pcap(plain, [frame(int(size))] * N_PACKETS)
            received = r"Total packets sent: +(\d+)"
            for op, source in (("encap", plain), ("decap", None)):
                try:
                    source = source or capture_esp(program, folder, plain, config)
                    null, port = "net_null0,no-rx=1", f"net_pcap0,rx_pcap={source},infinite_rx=1"
                    # The first device is port 0, which is protected; ESP comes in by port 1.
                    ports = [port, null] if op == "encap" else [null, port]
                    whole = ns_per_packet(secgw_argv(program, ports, config), received, folder, seconds)
                    pcap = source_ns(source, folder)
                except Unavailable as e:
                    yield {"bench": f"peer-{op}", "implementation": "DPDK ipsec-secgw", "size": size,
                           "not_available": str(e)}
                    continue
                cycles = (whole - pcap) * hz / 1e9
                mine = ours[op, size]
                yield {"bench": f"peer-{op}", "implementation": "DPDK ipsec-secgw", "suite": "aes-256-gcm-16",
                       "size": size, "n_sas": 1, "n_workers": 1, "cycles_per_packet": round(cycles, 1),
                       **beside(mine, cycles), "mpps": round(hz / cycles / 1e6, 3), "gbps": round(hz / cycles * int(size) * 8 / 1e9, 3), "source_cycles_subtracted": round(pcap * hz / 1e9, 1),
                       "twinbore_packets_per_second_to_it": round(cycles / mine["cycles_per_packet"], 2)}


# ---- strongSwan's userspace ESP ------------------------------------------------------------------

def iperf(client, server, address):
    """Mbit/s of one TCP stream."""
    with_server = server.spawn(["iperf3", "-s", "-1", "-B", address], "iperf3")
    try:
        for _ in range(50):
            r = client.run(["iperf3", "-c", address, "-t", STREAM_S, "-O", "1", "-J"], check=False, timeout=STREAM_S + 20)
            m = re.search(r'"sum_received":.*?"bits_per_second":\s*([0-9.e+]+)', r.stdout, re.DOTALL)
            if m:
                return float(m[1]) / 1e6
            time.sleep(0.2)
    finally:
        with_server.stop()
    raise Unavailable("iperf3 gets no stream through: " + r.stdout.strip()[-200:])


def charon_pair(sites):
    from tests_lab.strongswan import PSK, Charon
    both = []
    for ours, theirs in ((sites.a, sites.b), (sites.b, sites.a)):
        c = Charon(ours.gw, f"bench-{ours.letter}")
        c.connections = {"lab": {
            "version": "2", "local_addrs": ours.outside[0], "remote_addrs": theirs.outside[0], "mobike": "no",
            "proposals": "aes256gcm16-prfsha384-x25519",
            "local": {"auth": "psk", "id": f"gw-{ours.letter}"}, "remote": {"auth": "psk", "id": f"gw-{theirs.letter}"},
            "children": {"net": {"local_ts": f"10.{ours.number}.0.0/24", "remote_ts": f"10.{theirs.number}.0.0/24",
                                 "esp_proposals": "aes256gcm16"}}}}
        c.secrets = {"ike-1": {"id-1": "gw-a", "id-2": "gw-b", "secret": PSK}}
        both.append(c)
    return both


def stream_rows(build, root):
    """One TCP stream between two hosts over two gateways, in namespaces: ours, theirs, and none."""
    from bench.failover import load_lab
    lab = load_lab(root, build)
    from tests_lab.topology import Side, two_sites
    from tests_lab.twinbore import DRIVER, pair, wait_both_up

    def row(name, **more):
        return {"bench": "peer-tcp-stream", "implementation": name, "suite": "aes-256-gcm-16", **more}

    name = f"Twinbore ({DRIVER} on veth)"
    try:
        with lab.World("bench") as world:
            sites = two_sites(world)
            p = pair(sites)
            with p.a, p.b:
                wait_both_up(p)
                yield row(name, mbps=iperf(sites.a.host, sites.b.host, sites.b.host4))
    except (lab.LabError, Unavailable, OSError, subprocess.SubprocessError) as e:
        yield row(name, not_available=str(e)[-300:])
    name = "strongSwan, userspace ESP"
    try:
        if not shutil.which("swanctl", path="/usr/sbin:/usr/bin"):
            raise Unavailable("strongSwan is not installed; sudo tools/setup does it")
        with lab.World("bench") as world:
            sites = two_sites(world, Side(kernel=True), Side(kernel=True))
            a, b = charon_pair(sites)
            with a, b:
                a.initiate()
                yield row(name, mbps=iperf(sites.a.host, sites.b.host, sites.b.host4))
    except (lab.LabError, Unavailable, OSError, subprocess.SubprocessError) as e:
        yield row(name, not_available=str(e)[-300:])


# ---- all -----------------------------------------------------------------------------------------

def beside(ours, cycles):
    """The bare AEAD, as in our row."""
    crypto = ours["crypto_cycles_per_packet"]
    return {"crypto_cycles_per_packet": crypto, "ratio_to_crypto": round(cycles / crypto, 3)}


def ours_and_secgw(build, rows_of, sizes, quick=False):
    ours, hz = {}, None
    for r in rows_of("dp_bench", ["--op", "encap,decap", "--size", ",".join(SIZES)] + (["--rounds", "20"] if quick else [])):
        if "error" in r:
            yield r
            return
        op = r["bench"].removeprefix("esp-")
        ours[op, r["size"]] = r
        hz = r["mpps"] * 1e6 * r["cycles_per_packet"]
        for name, cycles in (("Twinbore", r["cycles_per_packet"]), (f"raw {r['backend']}", r["crypto_cycles_per_packet"])):
            yield {"bench": f"peer-{op}", "implementation": name, "suite": r["suite"], "size": r["size"], "n_sas": 1, "n_workers": 1,
                   "cycles_per_packet": cycles, **beside(r, cycles), "mpps": round(hz / cycles / 1e6, 3),
                   "gbps": round(hz / cycles * int(r["size"]) * 8 / 1e9, 3)}
    try:
        yield from secgw_rows(build, ours, hz, sizes, quick)
    except (Unavailable, OSError, subprocess.SubprocessError) as e:
        yield {"bench": "peer-encap", "implementation": "DPDK ipsec-secgw", "not_available": str(e)}


def secgw_only(build, rows_of):
    """The size that is aimed at."""
    yield from ours_and_secgw(build, rows_of, SIZES[:1])


def rows(build, rows_of, quick=False):
    root = Path(__file__).resolve().parent.parent
    for r in ours_and_secgw(build, rows_of, SIZES[:1] if quick else SIZES, quick):
        yield r
        if "error" in r:
            return
    wrong = subprocess.run(["ninja", "-C", build, "twinbore-programs"], capture_output=True, text=True)
    if wrong.returncode:
        yield {"bench": "peer-tcp-stream", "implementation": "Twinbore", "error": wrong.stdout[-300:]}
        return
    yield from stream_rows(build, root)
