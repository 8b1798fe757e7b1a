/* SPDX-License-Identifier: Apache-2.0 */
/* out: actions, counters and events on their way to the caller. */
#include "ike/ike_int.h"

#define COMPLAINT_PERIOD span_s(1)
#define COMPLAINT_BURST  10
#define REPLY_PERIOD     span_ms(10)
#define REPLY_BURST      100

void ike_out_reset(struct ike_out *out)
{
	for (size_t i = 0; i < out->n; i++) {
		struct ike_action *a = &out->actions[i];

		if (a->type == IKE_ACT_CHILD_ADD_IN || a->type == IKE_ACT_CHILD_ADD_OUT)
			bytes_wipe(&a->child, sizeof(a->child));
		else if (a->type == IKE_ACT_PPK_MIX)
			bytes_wipe(out->bytes + (a->auth.octets - out->bytes), a->auth.octets_size);
		else if (a->type == IKE_ACT_SAVE && a->save.data)
			bytes_wipe(out->bytes + (a->save.data - out->bytes), a->save.size);
	}
	out->n = 0;
	out->n_bytes = 0;
}

struct ike_action *ike_act(struct ike *ike, enum ike_action_type type, uint32_t tunnel)
{
	struct ike_out *out = ike->out;
	struct ike_action *a;

	if (out->n == IKE_OUT_MAX) {
		ike_count(ike, IKE_CNT_ACTION_OVERFLOW);
		return NULL;
	}
	a = &out->actions[out->n++];
	*a = (struct ike_action){.type = type, .tunnel = tunnel};
	return a;
}

void ike_count(struct ike *ike, enum ike_counter c)
{
	ike->counters[c]++;
}

enum ike_counter ike_counter_of(enum ike_err err)
{
	switch (err) {
	case IKE_ERR_TRUNCATED: return IKE_CNT_RX_TRUNCATED;
	case IKE_ERR_LENGTH: return IKE_CNT_RX_LENGTH;
	case IKE_ERR_VERSION: return IKE_CNT_RX_VERSION;
	case IKE_ERR_IKEV1: return IKE_CNT_RX_IKEV1;
	case IKE_ERR_EXCHANGE: return IKE_CNT_RX_EXCHANGE;
	case IKE_ERR_CRITICAL: return IKE_CNT_RX_CRITICAL;
	case IKE_ERR_ICV:
	case IKE_ERR_PADDING: return IKE_CNT_RX_ICV;
	case IKE_ERR_MISSING: return IKE_CNT_RX_SYNTAX;
	case IKE_ERR_NONCE: return IKE_CNT_RX_NONCE;
	case IKE_ERR_KE: return IKE_CNT_RX_KE;
	case IKE_ERR_RESOURCES:
	case IKE_ERR_CRYPTO: return IKE_CNT_RESOURCES;
	case IKE_ERR_NO_PROPOSAL: return IKE_CNT_NO_PROPOSAL;
	case IKE_ERR_AUTH: return IKE_CNT_AUTH_FAILED;
	case IKE_ERR_TS: return IKE_CNT_TS_UNACCEPTABLE;
	case IKE_ERR_DUPLICATE:
	case IKE_ERR_SYNTAX:
	case IKE_OK:
	case IKE_ERR_END: break;
	}
	return IKE_CNT_RX_PAYLOAD;
}

const uint8_t *ike_lend(struct ike *ike, const void *data, size_t size)
{
	struct ike_out *out = ike->out;
	uint8_t *p = out->bytes + out->n_bytes;

	if (sizeof(out->bytes) - out->n_bytes < size) {
		ike_count(ike, IKE_CNT_ACTION_OVERFLOW);
		return NULL;
	}
	if (size)
		memcpy(p, data, size);
	out->n_bytes += size;
	return p;
}

void ike_send(struct ike *ike, uint32_t tunnel, const struct ip_endpoint *local,
	      const struct ip_endpoint *remote, const uint8_t *data, size_t size)
{
	const uint8_t *lent = ike_lend(ike, data, size);
	struct ike_action *a = lent ? ike_act(ike, IKE_ACT_SEND, tunnel) : NULL;

	if (!a)
		return;
	a->send.local = *local;
	a->send.remote = *remote;
	/* RFC 7296 2.23: every IKE message on port 4500 begins with the non-ESP marker. */
	a->send.natt = local->port == IKE_PORT_NATT;
	a->send.data = lent;
	a->send.size = size;
	ike_count(ike, IKE_CNT_TX);
}

struct sb ike_event(struct ike *ike, enum ike_happening what, const struct ike_tunnel *t)
{
	static char nowhere[1];
	struct ike_action *a =
		ike_act(ike, IKE_ACT_EVENT, t && !t->removed ? t->cfg.tunnel : IKE_TUNNEL_NONE);

	if (!a)
		return sb_of(nowhere, sizeof(nowhere));
	a->event.what = what;
	return sb_of(a->event.text, sizeof(a->event.text));
}

bool ike_take_token(struct mono *full_at, struct mono now, struct mono_span period, unsigned burst)
{
	const struct mono from = mono_before(*full_at, now) ? now : *full_at;

	if (mono_since(from, now).ns + period.ns > burst * period.ns)
		return false;
	*full_at = mono_add(from, period);
	return true;
}

bool ike_may_complain(struct ike *ike)
{
	return ike_take_token(&ike->complaints_full_at, ike->now, COMPLAINT_PERIOD,
			      COMPLAINT_BURST);
}

bool ike_may_reply(struct ike *ike)
{
	return ike_take_token(&ike->replies_full_at, ike->now, REPLY_PERIOD, REPLY_BURST);
}

void ike_await(struct ike *ike, struct ike_pending *p, enum ike_pending_kind kind, void *owner,
	       struct ike_action *act)
{
	ike_unawait(ike, p);
	p->kind = kind;
	p->owner = owner;
	act->request = ++ike->last_request;
	ike_table_put(&ike->pendings, &p->link, act->request);
}

void ike_unawait(struct ike *ike, struct ike_pending *p)
{
	ike_table_remove(&ike->pendings, &p->link);
}

bool ike_random(struct ike *ike, void *out, size_t size)
{
	if (ike->crypto.random(ike->crypto.ctx, out, size))
		return true;
	ike_count(ike, IKE_CNT_RESOURCES);
	return false;
}

uint64_t ike_jitter(struct ike *ike, uint64_t n)
{
	uint64_t r;

	if (!n || !ike_random(ike, &r, sizeof(r)))
		return 0;
	return r % n;
}

const char *ike_counter_name(enum ike_counter c)
{
	static const char *const names[] = {
#define X(name, text) [IKE_CNT_##name] = text,
		IKE_COUNTERS(X)
#undef X
	};

	return (unsigned)c < IKE_CNT_END ? names[c] : "?";
}

uint64_t ike_counter_get(const struct ike *ike, enum ike_counter c)
{
	return (unsigned)c < IKE_CNT_END ? ike->counters[c] : 0;
}

const char *ike_happening_name(enum ike_happening h)
{
	static const char *const names[] = {
		[IKE_HAP_IKE_UP] = "ike-up",
		[IKE_HAP_IKE_DOWN] = "ike-down",
		[IKE_HAP_IKE_REKEYED] = "ike-rekeyed",
		[IKE_HAP_IKE_REAUTH] = "ike-reauth",
		[IKE_HAP_CHILD_UP] = "child-up",
		[IKE_HAP_CHILD_REKEYED] = "child-rekeyed",
		[IKE_HAP_CHILD_DOWN] = "child-down",
		[IKE_HAP_DPD_TIMEOUT] = "dpd-timeout",
		[IKE_HAP_AUTH_FAILED] = "auth-failed",
		[IKE_HAP_AUTH_UNANNOUNCED] = "auth-unannounced",
		[IKE_HAP_NO_PROPOSAL] = "no-proposal",
		[IKE_HAP_TS_UNACCEPTABLE] = "ts-unacceptable",
		[IKE_HAP_PEER_MOVED] = "peer-moved",
		[IKE_HAP_ADDRESS_CHANGED] = "address-changed",
		[IKE_HAP_ADDRESS_REFUSED] = "address-refused",
		[IKE_HAP_PEER_REBOOTED] = "peer-rebooted",
		[IKE_HAP_REDIRECTED] = "redirected",
		[IKE_HAP_REDIRECT_REFUSED] = "redirect-refused",
		[IKE_HAP_COOKIES_ON] = "cookies-on",
		[IKE_HAP_COOKIES_OFF] = "cookies-off",
		[IKE_HAP_PUZZLES_ON] = "puzzles-on",
		[IKE_HAP_PUZZLES_OFF] = "puzzles-off",
		[IKE_HAP_IKEV1_DECLINED] = "ikev1-declined",
	};

	return (unsigned)h < IKE_HAP_END ? names[h] : "?";
}

const char *ike_notify_name(uint16_t type)
{
	static const struct {
		uint16_t type;
		const char *name;
	} names[] = {
		{IKE_N_UNSUPPORTED_CRITICAL_PAYLOAD, "UNSUPPORTED_CRITICAL_PAYLOAD"},
		{IKE_N_INVALID_IKE_SPI, "INVALID_IKE_SPI"},
		{IKE_N_INVALID_MAJOR_VERSION, "INVALID_MAJOR_VERSION"},
		{IKE_N_INVALID_SYNTAX, "INVALID_SYNTAX"},
		{IKE_N_INVALID_MESSAGE_ID, "INVALID_MESSAGE_ID"},
		{IKE_N_INVALID_SPI, "INVALID_SPI"},
		{IKE_N_NO_PROPOSAL_CHOSEN, "NO_PROPOSAL_CHOSEN"},
		{IKE_N_INVALID_KE_PAYLOAD, "INVALID_KE_PAYLOAD"},
		{IKE_N_AUTHENTICATION_FAILED, "AUTHENTICATION_FAILED"},
		{IKE_N_SINGLE_PAIR_REQUIRED, "SINGLE_PAIR_REQUIRED"},
		{IKE_N_NO_ADDITIONAL_SAS, "NO_ADDITIONAL_SAS"},
		{IKE_N_INTERNAL_ADDRESS_FAILURE, "INTERNAL_ADDRESS_FAILURE"},
		{IKE_N_FAILED_CP_REQUIRED, "FAILED_CP_REQUIRED"},
		{IKE_N_TS_UNACCEPTABLE, "TS_UNACCEPTABLE"},
		{IKE_N_INVALID_SELECTORS, "INVALID_SELECTORS"},
		{IKE_N_TEMPORARY_FAILURE, "TEMPORARY_FAILURE"},
		{IKE_N_CHILD_SA_NOT_FOUND, "CHILD_SA_NOT_FOUND"},
		{IKE_N_TS_MAX_QUEUE, "TS_MAX_QUEUE"},
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (names[i].type == type)
			return names[i].name;
	}
	return "an unknown error";
}
