/* SPDX-License-Identifier: Apache-2.0 */
/* Scenarios of IKE_AUTH: who proves what to whom, and each way of failing at it. */
#include <stdio.h>
#include <string.h>
#include "ike/ike_int.h"
#include "tests/sim/liar.h"
#include "tests/sim/scenario.h"

static bool said(const struct sim_node *n, const char *text)
{
	return strstr(n->last_event[IKE_HAP_AUTH_FAILED], text) != NULL;
}

/* Nothing comes up, and each side's people hear why. */
static void must_fail(struct world *w, const char *at_a, const char *at_b)
{
	must(w, world_start(w), "no start");
	world_run(w, span_s(20));
	must(w, !A->up[0] && !B->up[0] && A->n_esp_sent == 0, "up");
	if ((at_a && !said(A, at_a)) || (at_b && !said(B, at_b)))
		fail_msg("A: '%s', B: '%s'", A->last_event[IKE_HAP_AUTH_FAILED],
			 B->last_event[IKE_HAP_AUTH_FAILED]);
}

static void node_trusts(struct sim_node *n, const uint8_t *cas, size_t n_cas)
{
	struct ike_event ev = {.type = IKE_EV_TRUST, .now = n->w->now};

	if (n->off || n->cfg[0].remote_auth != IKE_AUTH_BY_CERTIFICATE)
		return;
	ev.trust.tunnel = 0;
	ev.trust.cas = cas;
	ev.trust.n_cas = n_cas;
	node_step(n, &ev);
}

static void node_trust(struct sim_node *n)
{
	static const uint8_t cas[] = "an authority's hash.another one's hash.";

	node_trusts(n, cas, 2);
}

static void certify(struct sim_node *n, const char *id)
{
	struct sim_pki *k = &n->pki;

	n->cfg[0].local_auth = n->cfg[0].remote_auth = IKE_AUTH_BY_CERTIFICATE;
	snprintf(k->ca, sizeof(k->ca), "root");
	snprintf(k->trusts, sizeof(k->trusts), "root");
	snprintf(k->id, sizeof(k->id), "%s", id);
	snprintf(k->key, sizeof(k->key), "key-%d", n->index);
}

static void both_certified(struct world *w)
{
	certify(A, "gw-a.example.net");
	certify(B, "gw-b.example.net");
}

/* ------------------------------------------------------------------- it works */

static bool auth_shown(void *ctx, const struct ike_show_sa *s)
{
	const struct ike_show_sa *want = ctx;

	if (s->is_child)
		return true;
	assert_string_equal(s->auth_local, want->auth_local);
	assert_string_equal(s->auth_remote, want->auth_remote);
	assert_int_equal(s->ppk, want->ppk);
	assert_true(s->peer_id.size > 0);
	return true;
}

static void must_show(struct sim_node *n, const char *local, const char *remote, bool ppk)
{
	struct ike_show_sa want = {.auth_local = local, .auth_remote = remote, .ppk = ppk};

	ike_show_sas(n->ike, auth_shown, &want);
}

static void certificates(struct world *w)
{
	both_certified(w);
	must(w, world_start(w), "no start");
	must_settle(w, 10);
	must_show(A, "ed25519", "ed25519", false);
	must_show(B, "ed25519", "ed25519", false);
	must(w, A->hashes_seen == IKE_HASHES_OURS && B->hashes_seen == IKE_HASHES_OURS,
	     "the hash algorithms were not exchanged");
	node_event(B, IKE_EV_REKEY_IKE, 0);
	world_run(w, span_s(2));
	must_settle(w, 10);
	must_show(A, "ed25519", "ed25519", false);
}

static void trust_is_asked_for(struct world *w)
{
	both_certified(w);
	A->cfg[0].startup = IKE_STARTUP_ADD;
	must(w, world_start(w), "no start");
	node_trust(A);
	node_trust(B);
	node_event(A, IKE_EV_INITIATE, 0);
	must_settle(w, 10);
	must(w, A->n_cas_seen == 2 && B->n_cas_seen == 2, "CERTREQ did not arrive");
}

/* B asks for so many CAs that it takes a cookie: then its answer has room for all that it says. */
static void connect_with_room(struct world *w)
{
	static uint8_t cas[IKE_MAX_CAS * IKE_CA_SIZE];

	for (size_t i = 0; i < IKE_MAX_CAS; i++)
		cas[i * IKE_CA_SIZE] = (uint8_t)i;
	A->cfg[0].startup = IKE_STARTUP_ADD;
	must(w, world_start(w), "no start");
	node_trusts(B, cas, IKE_MAX_CAS);
	node_event(A, IKE_EV_INITIATE, 0);
	must_settle(w, 10);
}

/* Each end's key holder gets what the other one announces (RFC 9593). */
static void announcements_arrive(struct world *w)
{
	both_certified(w);
	connect_with_room(w);
	for (int i = 0; i < 2; i++) {
		const struct sim_node *n = &w->node[i];
		struct ike_announced seen;

		must(w, n->announced_size_seen > 0, "nothing announced");
		assert_true(ike_announced_parse(rd_of(n->announced_seen, n->announced_size_seen),
						&seen));
		assert_int_equal(seen.methods, 1u << IKE_AUTH_METHOD_DIGITAL_SIGNATURE);
		assert_true(seen.sig_algs & 1u << IKE_AUTH_ALG_ED448);
		must(w, !n->n_events[IKE_HAP_AUTH_UNANNOUNCED], "an event");
	}
}

/* Who takes no Ed25519 any more, or nothing but a method of its own. */
static void announce_less(struct liar_inner *in, const void *arg)
{
	static const uint8_t ed25519[] = {0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70};
	static const uint8_t own[] = {3, 200, 0};
	const bool nothing = *(const bool *)arg;

	for (size_t i = 0; i < in->n; i++) {
		struct liar_payload *p = &in->p[i];
		uint8_t *alg;

		if (p->type != IKE_PL_NOTIFY || p->body[2] != IKE_N_SUPPORTED_AUTH_METHODS >> 8 ||
		    p->body[3] != (uint8_t)IKE_N_SUPPORTED_AUTH_METHODS)
			continue;
		alg = memmem(p->body, p->size, ed25519, sizeof(ed25519));
		assert_non_null(alg);
		alg[6]++;
		if (nothing) {
			memcpy(p->body + 4, own, sizeof(own));
			p->size = 4 + sizeof(own);
		}
	}
}

/* Requirements: RFC9593-4-choose */
static void announced_by_the_initiator(struct world *w)
{
	static struct liar liar;

	for (int nothing = 0; nothing < 2; nothing++) {
		const bool arg = nothing;

		world_fini(w);
		world_init(w, 9593);
		both_certified(w);
		B->pki.ed448 = true;
		liar = (struct liar){
			.exchange = IKE_AUTH, .times = 1, .edit = announce_less, .arg = &arg};
		liar_install(w, &liar);
		connect_with_room(w);
		must(w, liar.told == 1, "no lie");
		must_show(B, nothing ? "ed25519" : "ed448", "ed25519", false);
		must_show(A, "ed25519", nothing ? "ed25519" : "ed448", false);
		must(w, B->n_events[IKE_HAP_AUTH_UNANNOUNCED] == (unsigned)nothing, "events");
		if (nothing)
			assert_string_equal(B->last_event[IKE_HAP_AUTH_UNANNOUNCED],
					    "we have Ed25519");
	}
}

static bool gives_a_wrong_cookie(struct world *w, int from, const uint8_t *data, size_t size)
{
	struct ike_event ev = {.type = IKE_EV_PACKET, .now = node_now(B)};
	uint8_t request[IKE_INIT_MAX];
	struct ike_msg m;

	if (from != 0 || data[18] != IKE_SA_INIT || ike_msg_parse(data, size, &m) != IKE_OK ||
	    !ike_msg_notify(&m, IKE_N_COOKIE))
		return false;
	w->filter = NULL;
	memcpy(request, data, size);
	request[IKE_HEADER_SIZE + 12] ^= 1;
	ev.packet.local = (struct ip_endpoint){B->addr, IKE_PORT};
	ev.packet.remote = (struct ip_endpoint){A->addr, IKE_PORT};
	ev.packet.data = request;
	ev.packet.size = size;
	ike_step(B->ike, &ev, &B->out);
	must(w, B->out.n == 1 && B->out.actions[0].send.size <= size, "a long answer");
	ike_out_reset(&B->out);
	return false;
}

/*
 * RFC 7296 2.6: an answer that is longer than its question takes a cookie first.
 *
 * Requirements: CVE-2016-5361
 */
static void long_answers_take_a_cookie(struct world *w)
{
	static uint8_t cas[IKE_MAX_CAS * IKE_CA_SIZE];

	both_certified(w);
	for (size_t i = 0; i < IKE_MAX_CAS; i++)
		cas[i * IKE_CA_SIZE] = (uint8_t)i;
	A->cfg[0].startup = IKE_STARTUP_ADD;
	must(w, world_start(w), "no start");
	node_trusts(B, cas, 1);
	w->filter = gives_a_wrong_cookie;
	node_event(A, IKE_EV_INITIATE, 0);
	must_settle(w, 10);
	must(w, A->n_cas_seen == 1, "CERTREQ did not arrive");
	node_event(A, IKE_EV_TERMINATE, 0);
	must(w, world_until(w, both_empty, span_s(10)), "not down");
	node_trusts(B, cas, IKE_MAX_CAS);
	w->filter = gives_a_wrong_cookie;
	node_event(A, IKE_EV_INITIATE, 0);
	must_settle(w, 10);
	must(w, A->n_cas_seen == IKE_MAX_CAS, "CERTREQ was cut");
	must(w, count(B, IKE_CNT_COOKIE_SENT) >= 2, "no cookie was asked for");
}

static void chains_keep_their_order(struct world *w)
{
	both_certified(w);
	A->pki.n_chain = B->pki.n_chain = IKE_MAX_CERTS - 1;
	must(w, world_start(w), "no start");
	must_settle(w, 10);
}

static void raw_keys(struct world *w)
{
	both_certified(w);
	for (int i = 0; i < 2; i++) {
		struct sim_node *n = &w->node[i];

		n->cfg[0].local_auth = n->cfg[0].remote_auth = IKE_AUTH_BY_RAW_KEY;
		snprintf(n->pki.trusts, sizeof(n->pki.trusts), "key-%d", 1 - i);
	}
	must(w, world_start(w), "no start");
	must_settle(w, 10);
	must_show(A, "ed25519", "ed25519", false);
}

static void each_its_own_way(struct world *w)
{
	both_certified(w);
	A->cfg[0].remote_auth = B->cfg[0].local_auth = IKE_AUTH_BY_PSK;
	must(w, world_start(w), "no start");
	must_settle(w, 10);
	must_show(A, "ed25519", "psk", false);
	must_show(B, "psk", "ed25519", false);
}

/* ------------------------------------------------------------------ it does not */

static void unknown_authority(struct world *w)
{
	both_certified(w);
	snprintf(A->pki.ca, sizeof(A->pki.ca), "other");
	must_fail(w, "does not believe our certificate", "unknown CA");
}

static void responder_of_unknown_authority(struct world *w)
{
	both_certified(w);
	snprintf(B->pki.ca, sizeof(B->pki.ca), "other");
	must_fail(w, "unknown CA", NULL);
}

/* CVE-2020-16088: the right name with the wrong key, and the reverse. */
/* Requirements: CVE-2020-16088 */
static void right_name_wrong_key(struct world *w)
{
	both_certified(w);
	snprintf(A->pki.id, sizeof(A->pki.id), "gw-x.example.net");
	must_fail(w, "does not believe", "names somebody else");
}

/* Requirements: CVE-2020-16088 */
static void right_key_wrong_name(struct world *w)
{
	both_certified(w);
	snprintf(A->pki.id, sizeof(A->pki.id), "gw-x.example.net");
	A->cfg[0].local_id.data[3] = 'x';
	must_fail(w, "does not believe",
		  "they say they are fqdn:gw-x.example.net, remote_id of "
		  "bore-1 is fqdn:gw-a.example.net");
}

static void responder_with_another_name(struct world *w)
{
	both_certified(w);
	A->cfg[0].remote_id_wildcard = true;
	A->cfg[0].remote_id.data[0] = '*';
	A->cfg[0].remote_id.data[1] = '.'; /* "*.-b.example.net" */
	must_fail(w, "they say they are fqdn:gw-b.example.net, our remote_id is fqdn:*.", NULL);
}

static void another_responder_is_wanted(struct world *w)
{
	both_certified(w);
	A->cfg[0].remote_id.data[3] = 'x';
	must_fail(w, NULL, "they ask for fqdn:gw-x.example.net, local_id of bore-1 is fqdn:gw-b");
}

static void another_type_of_name(struct world *w)
{
	both_certified(w);
	A->cfg[0].local_id.type = IKE_ID_KEY_ID;
	must_fail(w, NULL,
		  "they say they are keyid:gw-a.example.net, remote_id of bore-1 is fqdn:");
}

static void no_certificate(struct world *w)
{
	both_certified(w);
	A->pki.no_cert = true;
	must_fail(w, NULL, "no certificate came");
}

static void certificates_out_of_order(struct world *w)
{
	both_certified(w);
	A->pki.no_cert = true;
	A->pki.n_chain = 2;
	must_fail(w, NULL, "no certificate first");
}

static void too_many_certificates(struct world *w)
{
	both_certified(w);
	A->pki.n_chain = IKE_MAX_CERTS;
	must_fail(w, "no AUTH could be made", NULL);
	must(w, !B->n_events[IKE_HAP_AUTH_FAILED], "it was sent");
}

/* Whoever has the shared key, or none at all, must not pass where a certificate is wanted. */
static void no_way_down_to_psk(struct world *w)
{
	certify(B, "gw-b.example.net");
	must_fail(w, NULL,
		  "they authenticate by a pre-shared key, remote_auth of bore-1 is a "
		  "certificate");
}

static void responder_no_way_down_to_psk(struct world *w)
{
	both_certified(w);
	B->cfg[0].local_auth = IKE_AUTH_BY_PSK;
	must_fail(w, "they authenticate by a pre-shared key, our remote_auth is a certificate",
		  NULL);
}

/* CVE-2024-2357: a secret goes away in mid-handshake. */
static bool auth_on_its_way(struct world *w, int from, const uint8_t *data, size_t size)
{
	(void)size;
	if (from == 0 && data[18] == IKE_AUTH)
		B->pki.key[0] = B->psk[0] = '\0';
	return false;
}

/* Requirements: CVE-2024-2357 */
static void key_removed(struct world *w)
{
	both_certified(w);
	w->filter = auth_on_its_way;
	must_fail(w, "does not believe our certificate", "the private key is gone");
	w->filter = NULL;
	certify(B, "gw-b.example.net");
	must_settle(w, 80);
}

/* Requirements: CVE-2024-2357 */
static void shared_key_removed(struct world *w)
{
	w->filter = auth_on_its_way;
	must_fail(w, "the peer refused us", "AUTH is wrong");
	w->filter = NULL;
	memcpy(B->psk, A->psk, sizeof(B->psk));
	must_settle(w, 80);
}

/* --------------------------------------------------------------------- rotation */

static void two_keys(struct sim_node *n, const char *first, const char *second)
{
	snprintf(n->psk, sizeof(n->psk), "%s", first);
	snprintf(n->psk_old, sizeof(n->psk_old), "%s", second);
	n->cfg[0].n_psks = second[0] ? 2 : 1;
}

static void peer_has_the_old_key(struct world *w)
{
	two_keys(A, "old", "");
	two_keys(B, "new", "old");
	must(w, world_start(w), "no start");
	must_settle(w, 5); /* at the first attempt: the answer is made with the key that came */
	must(w, A->n_events[IKE_HAP_AUTH_FAILED] == 0, "refused");
}

static void initiator_goes_round(struct world *w)
{
	two_keys(A, "new", "old");
	two_keys(B, "old", "");
	must(w, world_start(w), "no start");
	must_settle(w, 10);
	must(w, A->n_events[IKE_HAP_AUTH_FAILED] == 1, "not at the second attempt");
	must(w, said(A, "key 1 of 2"), "no explanation");
	/* It goes on with what worked. */
	node_event(A, IKE_EV_TERMINATE, 0);
	world_run(w, span_s(5));
	node_event(A, IKE_EV_INITIATE, 0);
	must_settle(w, 10);
	must(w, A->n_events[IKE_HAP_AUTH_FAILED] == 1, "refused again");
}

/* -------------------------------------------------------------------------- PPK */

static void use_ppk(struct sim_node *n, enum ike_ppk_use use, const char *key, const char *id)
{
	struct ike_tunnel_cfg *cfg = &n->cfg[0];

	snprintf(n->ppk, sizeof(n->ppk), "%s", key);
	cfg->ppk = use;
	cfg->ppk_id_size = (uint8_t)strlen(id);
	memcpy(cfg->ppk_id, id, cfg->ppk_id_size);
}

static void ppk_required(struct world *w)
{
	use_ppk(A, IKE_PPK_REQUIRE, "post-quantum", "ppk-1");
	use_ppk(B, IKE_PPK_REQUIRE, "post-quantum", "ppk-1");
	must(w, world_start(w), "no start");
	must_settle(w, 10);
	must_show(A, "psk", "psk", true);
	must_show(B, "psk", "psk", true);
	for (int i = 0; i < 4; i++) {
		node_event(i & 1 ? A : B, i & 2 ? IKE_EV_REKEY_IKE : IKE_EV_REKEY_CHILD, 0);
		world_run(w, span_s(2));
		must_settle(w, 10);
	}
	must_show(A, "psk", "psk", true);
}

static void ppk_preferred_by_both(struct world *w)
{
	both_certified(w);
	use_ppk(A, IKE_PPK_PREFER, "post-quantum", "ppk-1");
	use_ppk(B, IKE_PPK_PREFER, "post-quantum", "ppk-1");
	must(w, world_start(w), "no start");
	must_settle(w, 10);
	must_show(A, "ed25519", "ed25519", true);
}

static void ppk_unknown_to_the_responder(struct world *w)
{
	use_ppk(A, IKE_PPK_PREFER, "post-quantum", "ppk-1");
	use_ppk(B, IKE_PPK_PREFER, "post-quantum", "ppk-2");
	must(w, world_start(w), "no start");
	must_settle(w, 10); /* NO_PPK_AUTH */
	must_show(B, "psk", "psk", false);
}

static void ppk_not_at_the_responder(struct world *w)
{
	use_ppk(A, IKE_PPK_PREFER, "post-quantum", "ppk-1");
	must(w, world_start(w), "no start");
	must_settle(w, 10);
	must_show(A, "psk", "psk", false);
}

static void ppk_required_but_not_there(struct world *w)
{
	use_ppk(A, IKE_PPK_REQUIRE, "post-quantum", "ppk-1");
	must_fail(w, "the peer has no PPK for us", NULL);
}

static void ppk_required_by_the_responder(struct world *w)
{
	use_ppk(B, IKE_PPK_REQUIRE, "post-quantum", "ppk-1");
	must_fail(w, "the peer refused us", "they use no PPK, and ours is required");
}

static void ppk_of_another_name(struct world *w)
{
	use_ppk(A, IKE_PPK_REQUIRE, "post-quantum", "ppk-2");
	use_ppk(B, IKE_PPK_PREFER, "post-quantum", "ppk-1");
	must_fail(w, "the peer refused us", "they require a PPK that this tunnel does not have");
}

static void ppks_differ(struct world *w)
{
	use_ppk(A, IKE_PPK_REQUIRE, "post-quantum", "ppk-1");
	use_ppk(B, IKE_PPK_REQUIRE, "post-quantuM", "ppk-1");
	must_fail(w, "the peer refused us", "pre-shared keys or PPKs differ");
}

static void ppk_gone(struct world *w)
{
	use_ppk(A, IKE_PPK_REQUIRE, "", "ppk-1");
	use_ppk(B, IKE_PPK_REQUIRE, "post-quantum", "ppk-1");
	must_fail(w, "no AUTH could be made", NULL);
}

/* --------------------------------------------------------- tunnels for many peers */

static void any_address(struct world *w, const char *pattern)
{
	struct ike_tunnel_cfg *b = &B->cfg[0];

	both_certified(w);
	b->remote = (struct ip_addr){.family = IP_NONE};
	b->remote_id_wildcard = true;
	b->remote_id.size = (uint8_t)strlen(pattern);
	memcpy(b->remote_id.data, pattern, b->remote_id.size);
	if (!pattern[0])
		b->remote_id.type = IKE_ID_NONE;
}

static void wildcard(struct world *w)
{
	any_address(w, "*.example.net");
	must(w, world_start(w), "no start");
	must_settle(w, 10);
}

static void wildcard_anybody(struct world *w)
{
	any_address(w, "");
	must(w, world_start(w), "no start");
	must_settle(w, 10);
}

static void wildcard_of_others(struct world *w)
{
	any_address(w, "*.example.com");
	must_fail(w, NULL, "remote_id of bore-1 is fqdn:*.example.com");
}

/* The first that proves such a name has the tunnel; the next is refused until it has gone. */
static void one_peer_at_a_time(struct world *w)
{
	any_address(w, "*.example.net");
	must(w, world_start(w), "no start");
	must_settle(w, 10);
	/* A comes back under another name while B still believes in the first. */
	node_power_off(A);
	A->cfg[0].local_id.data[3] = 'x';
	snprintf(A->pki.id, sizeof(A->pki.id), "gw-x.example.net");
	must(w, node_power_on(A), "no start");
	world_run(w, span_s(5));
	must(w, !A->up[0] && said(B, "belongs to fqdn:gw-a.example.net at the moment"),
	     "taken over");
	must_settle(w, 120); /* B has noticed that the first is dead */
	must_show(B, "ed25519", "ed25519", false);
}

static void the_same_peer_comes_back(struct world *w)
{
	any_address(w, "*.example.net");
	must(w, world_start(w), "no start");
	must_settle(w, 10);
	node_power_off(A);
	must(w, node_power_on(A), "no start");
	must_settle(w, 10);
	must(w, B->n_events[IKE_HAP_AUTH_FAILED] == 0, "refused");
}

/* The peer's tunnel is the second of its address: what both permit is agreed, not the first's favourite. */
static void suites_of_all_candidates(struct world *w)
{
	struct ike_tunnel_cfg *other = &B->cfg[1];

	B->cfg[1] = B->cfg[0];
	B->n_tunnels = 2;
	memcpy(other->name, "bore-2", 7);
	other->tunnel = 1;
	other->ike_algs.by_type[IKE_TRANSFORM_ENCR] =
		(struct ike_alg_list){1, {{IKE_ENCR_AES_CBC, 256}}};
	other->ike_algs.by_type[IKE_TRANSFORM_INTEG] =
		(struct ike_alg_list){1, {{IKE_INTEG_HMAC_SHA2_256_128, 0}}};
	B->cfg[0].remote_id.data[3] = 'x';
	must(w, world_start(w), "no start");
	world_run(w, span_s(5));
	must(w, A->up[0] && !B->up[0] && B->up[1], "not the second tunnel");
	must(w, count_sas(A, 0).ike_suite.encr == IKE_ENCR_AES_CBC, "not what both permit");
}

/* No rekey takes an IKE SA beyond the end of the certificate that it stands on. */
static void certificates_end(struct world *w)
{
	both_certified(w);
	B->pki.valid_s = 60;
	must(w, world_start(w), "no start");
	must_settle(w, 10);
	node_event(A, IKE_EV_REKEY_IKE, 0);
	world_run(w, span_s(40));
	must(w, A->n_events[IKE_HAP_IKE_UP] == 1 && B->n_up[0] == 1, "ended too early");
	world_run(w, span_s(30));
	must(w, A->n_events[IKE_HAP_IKE_UP] == 2 && B->n_up[0] == 2, "did not prove itself again");
	must_settle(w, 10);
}

static const struct scenario scenarios[] = {
#define SCENARIO(name)                                                                             \
	{                                                                                          \
#name, name                                                                        \
	}
	SCENARIO(certificates),
	SCENARIO(trust_is_asked_for),
	SCENARIO(announcements_arrive),
	SCENARIO(announced_by_the_initiator),
	SCENARIO(long_answers_take_a_cookie),
	SCENARIO(chains_keep_their_order),
	SCENARIO(raw_keys),
	SCENARIO(each_its_own_way),
	SCENARIO(unknown_authority),
	SCENARIO(responder_of_unknown_authority),
	SCENARIO(right_name_wrong_key),
	SCENARIO(right_key_wrong_name),
	SCENARIO(responder_with_another_name),
	SCENARIO(another_responder_is_wanted),
	SCENARIO(another_type_of_name),
	SCENARIO(no_certificate),
	SCENARIO(certificates_out_of_order),
	SCENARIO(too_many_certificates),
	SCENARIO(no_way_down_to_psk),
	SCENARIO(responder_no_way_down_to_psk),
	SCENARIO(key_removed),
	SCENARIO(shared_key_removed),
	SCENARIO(peer_has_the_old_key),
	SCENARIO(initiator_goes_round),
	SCENARIO(ppk_required),
	SCENARIO(ppk_preferred_by_both),
	SCENARIO(ppk_unknown_to_the_responder),
	SCENARIO(ppk_not_at_the_responder),
	SCENARIO(ppk_required_but_not_there),
	SCENARIO(ppk_required_by_the_responder),
	SCENARIO(ppk_of_another_name),
	SCENARIO(ppks_differ),
	SCENARIO(ppk_gone),
	SCENARIO(wildcard),
	SCENARIO(wildcard_anybody),
	SCENARIO(wildcard_of_others),
	SCENARIO(one_peer_at_a_time),
	SCENARIO(the_same_peer_comes_back),
	SCENARIO(suites_of_all_candidates),
	SCENARIO(certificates_end),
};

int main(int argc, char **argv)
{
	return run_scenarios("auth", scenarios, sizeof(scenarios) / sizeof(scenarios[0]), argc,
			     argv);
}
