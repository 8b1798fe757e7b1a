#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the simulator: plants known faults in a copy of the sources, one at a time, and shows which
of its programs finds each, or, of faults of BGP, BFD and routing, which of those of their unit tests. A fault
that none finds is a hole in the checks.

    tests/sim/plant.py [--seeds N] [FAULT...]      a few minutes for all; --list names them

The product itself has no code for this: a fault is a piece of its text and another one in its place,
so a fault whose text is gone must be written anew. Each fault is one that other implementations had,
or one that a section of an RFC warns of.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ('sim_scenarios', 'sim_rekey', 'sim_resume', 'sim_input', 'sim_limits', 'sim_ladders', 'sim_failover',
            'sim_sites', 'sim_random')
# What takes the longest comes last.
SITES = ('test_routing_decide', 'test_routing_ladder', 'test_routing_export', 'test_routing_tables', 'test_bgp_session',
         'test_bgp_input', 'test_bgp_refresh', 'test_bfd_session', 'sim_failover', 'sim_sites')


class Fault(NamedTuple):
    name: str
    why: str
    path: str
    text: str
    fault: str


FAULTS = (
    Fault('iv-reused', 'RFC 5282 3.1: an IV must be unique for its key', 'ike/sk.c',
          '(*iv_counter)++', '*iv_counter + (*iv_counter == 0)'),
    Fault('iv-after-restart', 'RFC 5282 3.1, after a restart', 'ike/load.c',
          'sa->iv_counter += IV_JUMP;', 'sa->iv_counter = 1;'),
    Fault('record-too-late', 'a peer has seen what no record knows', 'ike/save.c',
          '	bring_forward(out, from, mid);\n', ''),
    Fault('record-incomplete', 'RFC 7296 2.1: a request repeated after a restart gets its response',
          'ike/save.c', '	if (sa->response) {\n', '	if (sa->response && sa->busy) {\n'),
    Fault('switch-too-early', 'RFC 7296 2.8: the responder sends before the peer can receive',
          'ike/child_dp.c',
          'if ((first && (c->initiator || !c->resource)) ||\n'
          '	    (c->initiator && !c->redundant && !ike_child_goes(c))) {',
          'if (first || !c->redundant) {'),
    Fault('no-linger', 'RFC 7296 2.8: the old inbound SA must take what is on its way',
          'ike/child_dp.c', 'if (c->has_in && !keep_in &&', 'if (c->has_in &&'),
    Fault('no-outbound-left', 'strongSwan #1896: a lost packet and a collision leave no outbound SA',
          'ike/settle.c', 'if (!best || !but || trust(best) == 3)\n		return best;',
          'if (but)\n		return NULL;\n	if (!best || trust(best) == 3)\n		return best;'),
    Fault('collision-by-role', 'RFC 7296 2.8.1: the lowest nonce decides, not who asks',
          'ike/settle.c', 'if (ike_rank_cmp(&ours->rank, &theirs->rank) < 0) {',
          'if (ours->spi_in < theirs->spi_in) {'),
    Fault('delete-before-response', 'strongSwan #1458: a Delete overtakes the response it is about',
          'ike/exchange_create_child.c', 'if (sa->doomed[i] == spi_out)', 'if (sa->doomed[i] == 1)'),
    Fault('rekeyed-twice', 'strongSwan #2945: the peer rekeys the same child twice',
          'ike/exchange_create_child.c', '!old->rekeyed_by_peer && !old->rekeyed_by_us &&', ''),
    Fault('delete-other-spi', 'RFC 7296 3.11: a Delete names what its sender receives on',
          'ike/exchange_informational.c', 'wr_u32(&w, c->spi_in); /* 3.11', 'wr_u32(&w, c->spi_out); /* 3.11'),
    Fault('children-stay-behind', 'RFC 7296 2.8: a rekeyed IKE SA inherits the children',
          'ike/sa.c', '		c->sa = to;\n', ''),
    Fault('request-done-again', 'RFC 7296 2.1, 2.3: a repeated request gets the same response',
          'ike/dispatch.c', '} else if (mid + 1 == sa->rx_mid) {\n		ike_response_repeat(sa, p, false);',
          '} else if (mid + 1 == sa->rx_mid) {\n		sa->rx_mid--;\n'
          '		take_request(sa, p, m, ike_msg_parse_inner(m->sk_next_payload, inner, m));'),
    Fault('moves-unproven', 'RFC 7296 2.23, OpenIKED baf0c8e: a peer is followed before it is proven',
          'ike/dispatch.c', '	if (sa->keys.ei && m->present & IKE_HAS_SKF) {',
          '	if (sa->tunnel)\n		sa->remote = p->remote;\n'
          '	if (sa->keys.ei && m->present & IKE_HAS_SKF) {'),
    Fault('outlives-its-life', 'RFC 7296 2.8: no SA lives beyond its hard lifetime', 'ike/timer_sa.c',
          'void ike_timer_ike_expired(struct ike_sa *sa)\n{\n',
          'void ike_timer_ike_expired(struct ike_sa *sa)\n{\n	if (!sa->mute)\n		return;\n'),
    Fault('time-of-the-dead', 'a timer whose owner has gone stays due, and nothing else is done',
          'routing/group.c', 'all the same. */\n	rt->groups_dirty = true;\n', 'all the same. */\n'),
    Fault('silence-noticed-late', 'RFC 5880 6.8.4: so many intervals without a packet, not more', 'bfd/session.c',
          's->detect_at = mono_add(now, bfd_session_detection(s));',
          's->detect_at = mono_add(now, span_ns(2 * bfd_session_detection(s).ns));'),
    Fault('bfd-unheard', 'RFC 5882 3.2: BFD takes its path out of use, whatever IKE says', 'routing/rt.c',
          't->ike_up && !t->bfd_down && !t->probe_down;', 't->ike_up && !t->probe_down;'),
    Fault('group-not-told', 'a tunnel goes, and no group hears of it', 'routing/rt.c',
          '	rt_groups_touch(rt, t->cfg.tunnel);\n	rt->why = up ?', '	rt->why = up ?'),
    Fault('drained-is-down', 'a drained tunnel is not used although it is the only one', 'routing/group.c',
          'return t->draining              ? RANK_DRAINING', 'return t->draining              ? RANK_END'),
    Fault('returns-unproven', 'a tunnel that comes and goes takes the traffic with it', 'routing/group.c',
          'if (tunnels[i] == active || mono_reached(now, proven_at(rt, tunnels[i])))', 'if (tunnels[i] != RT_NONE)'),
    Fault('break-before-make', 'a reload takes a route away before it sets the one in its place', 'routing/program.c',
          'if (!q[0].n)\n			return pop(rt, &q[1]);', 'if (q[1].n)\n			return pop(rt, &q[1]);'),
    Fault('group-before-its-routes', "a group goes while a route in the dataplane still names its number", 'routing/group.c',
          'if (!rt->n_unknown && rt_plan_answered(rt, g->mark))', 'if (g->dying)'),
    Fault('stale-not-used', 'RFC 4724 4.2: the routes of a neighbour that restarts are used until it is back',
          'routing/group.c', 'return has_session(t, member) || t->family[0].kept || t->family[1].kept;',
          'return has_session(t, member);'),
    Fault('routes-of-the-dead', 'a session comes again, and prefixes that it does not announce any more go by it',
          'routing/bgp.c', 't->hold_bgp = t->unswept && rt->sweep_left;', 't->hold_bgp = false;'),
    Fault('told-back', 'what a connection has announced is announced to itself', 'routing/export.c',
          'if (!from || from->connection == t->connection)', 'if (!from)'),
    Fault('missing-med-is-best', 'RFC 4271 9.1.2.2: a missing MED counts as the configured one', 'routing/decide.c',
          '#define MED_DEFAULT        100u', '#define MED_DEFAULT        0u'),
    Fault('own-as-taken', 'RFC 4271 9: a route with our own AS in its path is one that we have told', 'bgp/update.c',
          'return path_has_as(p, c->neighbor->cfg.local_as);', 'return false;'),
    Fault('refused-not-withdrawn', 'a route that is refused now is not kept as it was', 'bgp/update.c',
          'warn_refused(c, refused, nlri, f, &facts, out);\n		withdraw(c, nlri, f);',
          'warn_refused(c, refused, nlri, f, &facts, out);'),
    Fault('longer-path-wins', 'RFC 4271 9.1.2.2: the shorter AS_PATH', 'routing/decide.c',
          'return c->path ? c->path->facts.as_path_length : 0;', 'return c->path ? 255u - c->path->facts.as_path_length : 0;'),
    Fault('no-sign-of-life', 'RFC 4271 8.2.2: KEEPALIVE restarts the hold timer', 'bgp/fsm.c',
          'if (c->hold.ns && (type == BGP_KEEPALIVE || type == BGP_UPDATE))', 'if (c->hold.ns && type == BGP_UPDATE)'),
    Fault('both-close', 'RFC 4271 6.8: both ends of two connections choose the same one to close', 'bgp/fsm.c',
          'return n->bgp->id > peer->id;', 'return true;'),
    Fault('detects-by-own-multiplier', "RFC 5880 6.8.4: the peer's multiplier counts", 'bfd/session.c',
          'return span_us((uint64_t)us * s->remote_mult);', 'return span_us((uint64_t)us * s->cfg.multiplier);'),
    Fault('poll-not-answered', 'RFC 5880 6.5: a poll is answered at once, or the intervals stay slow', 'bfd/session.c',
          '	if (p->flags & BFD_FLAG_POLL)\n		send_now(s, BFD_FLAG_FINAL, out);\n', ''),
    Fault('met-as-before', 'RFC 5880 6.8.1: a peer that has restarted is met anew', 'bfd/session.c',
          '	s->remote_discr = 0;\n	/* 6.8.4 */', '	/* 6.8.4 */'),
    Fault('terminated-too-early', 'what the peer sent before it heard of the end is lost', 'ike/tunnel.c',
          'shut(t, "terminated by command", true);', 'shut(t, "terminated by command", false);'),
    Fault('leak-per-rekey', 'VPP 7e6ffba6, f0ff20d4: memory is lost with each rekey', 'ike/child.c',
          '	ike_child_keys_free(&c->keys);\n	free(c);', '	ike_child_keys_free(&c->keys);'),
)


def run(command, **kwargs):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors='replace', check=False, **kwargs)


class Copy:
    """The sources and their build, in a folder that vanishes."""

    def __init__(self, folder: Path, seeds: int):
        self.source = folder / 'source'
        self.build = folder / 'build'
        self.seeds = seeds
        shutil.copytree(ROOT, self.source, ignore=self.ignored)
        done = run(['meson', 'setup', self.build, self.source, '-Db_sanitize=address,undefined'])
        if done.returncode:
            sys.exit(done.stdout)

    @staticmethod
    def ignored(folder, names):
        """Builds are not sources."""
        return [n for n in names if n == '.git' or (Path(folder) / n / 'build.ninja').exists()]

    @staticmethod
    def programs(fault):
        """Those that may find it."""
        return SITES if fault.path.startswith(('bfd/', 'bgp/', 'routing/')) else PROGRAMS

    @staticmethod
    def target(name):
        return f'tests/{name.split("_")[name.startswith("test_")]}/{name}'

    def make(self, names):
        done = run(['ninja', '-j', str(os.cpu_count()), '-C', self.build, *map(self.target, names)])
        if done.returncode:
            sys.exit(done.stdout[-4000:])

    def complaint(self, name: str):
        """What the program says, or None if it is content."""
        command = [self.build / self.target(name)]
        if name == 'sim_ladders':
            command.append(self.source / 'tests/sim/ladders')
        env = dict(os.environ, TWINBORE_SEEDS=str(self.seeds))
        try:
            done = run(command, env=env, timeout=600)
        except subprocess.TimeoutExpired:
            return 'does not end'
        if done.returncode == 0:
            return None
        for line in done.stdout.splitlines():
            for mark in ('[  FAILED  ] ', 'ERROR: ', 'not ok ', '# want ', 'Assertion ', 'runtime error', 'SUMMARY: '):
                if mark in line:
                    return line.strip()[:110]
        return f'exit status {done.returncode}'

    def try_fault(self, fault: Fault):
        """The first program that finds it, and its words; None if none does."""
        path = self.source / fault.path
        text = path.read_text()
        if text.count(fault.text) != 1:
            sys.exit(f'{fault.name}: its text is not (once) in {fault.path}: write it anew')
        path.write_text(text.replace(fault.text, fault.fault))
        try:
            self.make(self.programs(fault))
            for name in self.programs(fault):
                words = self.complaint(name)
                if words:
                    return name, words
        finally:
            path.write_text(text)
        return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seeds', type=int, default=300, help='random worlds for each fault')
    parser.add_argument('--list', action='store_true', help='name the faults')
    parser.add_argument('fault', nargs='*', help='only these')
    args = parser.parse_args()
    unknown = set(args.fault) - {f.name for f in FAULTS}
    if unknown:
        parser.error(f'no such fault: {", ".join(sorted(unknown))}')
    chosen = [f for f in FAULTS if not args.fault or f.name in args.fault]
    if args.list:
        for fault in chosen:
            print(f'{fault.name:24} {fault.why}')
        return 0
    missed = 0
    with tempfile.TemporaryDirectory(prefix='twinbore-plant-') as folder:
        copy = Copy(Path(folder), args.seeds)
        names = list(dict.fromkeys(name for fault in chosen for name in copy.programs(fault)))
        copy.make(names)
        for name in names:
            words = copy.complaint(name)
            if words:
                sys.exit(f'without any fault, {name} says: {words}')
        for fault in chosen:
            start = time.monotonic()
            found = copy.try_fault(fault)
            missed += not found
            where, words = found or ('-', 'NOT FOUND')
            print(f'{fault.name:24} {where:20} {time.monotonic() - start:5.0f} s  {words}',
                  flush=True)
    print(f'{len(chosen) - missed} of {len(chosen)} faults found')
    return 1 if missed else 0


if __name__ == '__main__':
    sys.exit(main())
