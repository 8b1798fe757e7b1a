/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn: one TCP connection as the core sees it: a stream of bytes that is cut into messages
 * (RFC 4271 4.1), and what is written to it.
 */
#include <stdlib.h>
#include <string.h>
#include "bgp/bgp_int.h"

#define LARGE_HOLD    span_s(240) /* RFC 4271 8.2.2: in OpenSent */
#define SEND_HOLD_MIN span_s(480) /* RFC 9687 4.1 */

struct mono_span bgp_jitter(struct bgp *b, struct mono_span d)
{
	return span_ns(d.ns / 4 * 3 + d.ns / 4 * (b->random(b->random_ctx) % 1024) / 1024);
}

struct mono_span bgp_send_hold(const struct bgp_conn *c)
{
	const struct mono_span configured = c->neighbor->cfg.send_hold;
	const struct mono_span twice = span_ns(2 * c->hold.ns);

	if (configured.ns)
		return configured;
	return twice.ns > SEND_HOLD_MIN.ns ? twice : SEND_HOLD_MIN;
}

struct bgp_conn *bgp_conn_of(const struct bgp *b, uint32_t number)
{
	return number < b->n_conns ? b->conns[number] : NULL;
}

static bool room_for(struct bgp *b, uint32_t number)
{
	size_t n = b->n_conns ? b->n_conns : 16;
	struct bgp_conn **grown;

	if (number < b->n_conns)
		return true;
	while (n <= number)
		n *= 2;
	grown = realloc(b->conns, n * sizeof(*grown));
	if (!grown)
		return false;
	memset(grown + b->n_conns, 0, (n - b->n_conns) * sizeof(*grown));
	b->conns = grown;
	b->n_conns = n;
	return true;
}

struct bgp_conn *bgp_conn_new(struct bgp_neighbor *n, uint32_t number, bool outgoing,
			      struct bgp_out *out)
{
	struct bgp *b = n->bgp;
	struct bgp_conn *c = room_for(b, number) ? calloc(1, sizeof(*c)) : NULL;
	struct wr w;

	if (!c) {
		struct bgp_action *a = bgp_action_add(out, BGP_ACT_CLOSE, n);

		if (a)
			a->conn = number;
		return NULL;
	}
	c->neighbor = n;
	c->number = number;
	c->outgoing = outgoing;
	c->state = BGP_CONN_OPEN_SENT;
	c->keepalive_at = c->send_hold_at = MONO_NEVER;
	c->hold_at = mono_add(b->now, LARGE_HOLD);
	b->conns[number] = c;
	n->conns[outgoing ? 0 : 1] = c;
	w = bgp_message_begin(b, BGP_MESSAGE_MAX, BGP_OPEN);
	bgp_open_build(&w, b->id, n);
	bgp_message_send(c, &w, out);
	return c;
}

void bgp_conn_drop(struct bgp_conn *c, bool close, struct bgp_out *out)
{
	struct bgp_neighbor *n = c->neighbor;

	if (close) {
		struct bgp_action *a = bgp_action_add(out, BGP_ACT_CLOSE, n);

		if (a)
			a->conn = c->number;
	}
	n->bgp->conns[c->number] = NULL;
	n->conns[c->outgoing ? 0 : 1] = NULL;
	free(c->rx);
	free(c);
}

void bgp_conn_notify(struct bgp_conn *c, const struct bgp_fault_report *report, struct bgp_out *out)
{
	struct wr w = bgp_message_begin(c->neighbor->bgp, BGP_MESSAGE_MAX, BGP_NOTIFICATION);

	wr_u8(&w, report->code);
	wr_u8(&w, report->subcode);
	wr_bytes(&w, report->data, report->data_size);
	bgp_message_send(c, &w, out);
}

void bgp_conn_keepalive(struct bgp_conn *c, struct bgp_out *out)
{
	struct wr w = bgp_message_begin(c->neighbor->bgp, BGP_HEADER_SIZE, BGP_KEEPALIVE);

	bgp_message_send(c, &w, out);
}

/* ----------------------------------------------------------------- reading */

static size_t receive_max(const struct bgp_conn *c, uint8_t type)
{
	/* RFC 8654 4: we have said that we take them; never an OPEN or a KEEPALIVE. */
	if (c->state == BGP_CONN_ESTABLISHED && c->neighbor->cfg.extended_messages &&
	    type != BGP_OPEN && type != BGP_KEEPALIVE)
		return BGP_EXTENDED_MAX;
	return BGP_MESSAGE_MAX;
}

/* RFC 4271 6.1: the smallest of each type, and the exact one where there is only one. */
static bool length_ok(const struct bgp_conn *c, uint8_t type, size_t size)
{
	if (size > receive_max(c, type))
		return false;
	switch (type) {
	case BGP_OPEN: return size >= BGP_OPEN_MIN;
	case BGP_UPDATE: return size >= BGP_UPDATE_MIN;
	case BGP_NOTIFICATION: return size >= BGP_NOTIFICATION_MIN;
	case BGP_KEEPALIVE: return size == BGP_HEADER_SIZE;
	case BGP_ROUTE_REFRESH: return size >= BGP_ROUTE_REFRESH_MIN;
	default: return true; /* refused for its type */
	}
}

static bool type_ok(uint8_t type)
{
	return type >= BGP_OPEN && type <= BGP_ROUTE_REFRESH;
}

/* `p` has a whole header. False: it is none, and the connection is gone. */
static bool check_header(struct bgp_conn *c, const uint8_t *p, size_t *size, struct bgp_out *out)
{
	struct bgp_fault_report report = bgp_report(BGP_ERR_HEADER, 0);
	const uint8_t type = p[18];

	*size = (size_t)p[16] << 8 | p[17];
	for (int i = 0; i < BGP_MARKER_SIZE && !report.subcode; i++)
		if (p[i] != 0xff)
			report.subcode = BGP_HEADER_NOT_SYNCHRONIZED;
	if (!report.subcode && (*size < BGP_HEADER_SIZE || !length_ok(c, type, *size))) {
		report.subcode = BGP_HEADER_BAD_LENGTH;
		memcpy(report.data, p + 16, 2);
		report.data_size = 2;
	}
	if (!report.subcode && !type_ok(type)) {
		report.subcode = BGP_HEADER_BAD_TYPE;
		report.data[0] = type;
		report.data_size = 1;
	}
	if (!report.subcode)
		return true;
	bgp_fsm_fault(c, BGP_FAULT_HEADER, &report, out);
	return false;
}

/* Whole messages from the front of `data`. False: the connection is gone. */
static bool consume(struct bgp_conn *c, const uint8_t *data, size_t size, size_t *used,
		    struct bgp_out *out)
{
	*used = 0;
	while (size - *used >= BGP_HEADER_SIZE) {
		const uint8_t *p = data + *used;
		size_t n;

		if (!check_header(c, p, &n, out))
			return false;
		if (size - *used < n)
			return true;
		*used += n;
		c->neighbor->messages_in++;
		if (!bgp_fsm_message(c, p[18], rd_of(p + BGP_HEADER_SIZE, n - BGP_HEADER_SIZE),
				     out))
			return false;
	}
	return true;
}

static bool keep(struct bgp_conn *c, const uint8_t *data, size_t size)
{
	if (size > c->rx_size) {
		uint8_t *grown = realloc(c->rx, size);

		if (!grown)
			return false;
		c->rx = grown;
		c->rx_size = size;
	}
	if (size)
		memmove(c->rx, data, size);
	c->rx_n = size;
	return true;
}

/* Bytes that the message begun in `rx` still wants: first its header, then the rest. */
static size_t wanted(const struct bgp_conn *c)
{
	size_t n = BGP_HEADER_SIZE;

	if (c->rx_n >= BGP_HEADER_SIZE)
		n = (size_t)c->rx[16] << 8 | c->rx[17];
	return n > c->rx_n ? n - c->rx_n : 0;
}

static bool append(struct bgp_conn *c, const uint8_t *data, size_t size)
{
	if (c->rx_n + size > c->rx_size) {
		uint8_t *grown = realloc(c->rx, c->rx_n + size);

		if (!grown)
			return false;
		c->rx = grown;
		c->rx_size = c->rx_n + size;
	}
	memcpy(c->rx + c->rx_n, data, size);
	c->rx_n += size;
	return true;
}

static void out_of_memory(struct bgp_conn *c, struct bgp_out *out)
{
	const struct bgp_fault_report report = bgp_report(BGP_ERR_CEASE, BGP_CEASE_RESOURCES);

	bgp_fsm_fault(c, BGP_FAULT_RESOURCES, &report, out);
}

void bgp_conn_data(struct bgp_conn *c, const uint8_t *data, size_t size, struct bgp_out *out)
{
	size_t used;

	/* First what completes the message that was begun. */
	while (c->rx_n && size) {
		size_t n = wanted(c);

		n = n < size ? n : size;
		if (!append(c, data, n)) {
			out_of_memory(c, out);
			return;
		}
		data += n;
		size -= n;
		/* A header alone is looked at, too: a bad length is not waited for. */
		if (!consume(c, c->rx, c->rx_n, &used, out))
			return;
		if (used)
			c->rx_n = 0;
	}
	if (!consume(c, data, size, &used, out))
		return;
	if (used < size && !keep(c, data + used, size - used))
		out_of_memory(c, out);
}
