/* SPDX-License-Identifier: Apache-2.0 */
/* notification: what a NOTIFICATION message (RFC 4271 4.5) says, for people. */
#include "base/sb.h"
#include "bgp/bgp_int.h"

struct subcode {
	uint8_t code, subcode;
	const char *text;
};

static const struct subcode subcodes[] = {
	{BGP_ERR_HEADER, BGP_HEADER_NOT_SYNCHRONIZED, "connection not synchronized"},
	{BGP_ERR_HEADER, BGP_HEADER_BAD_LENGTH, "bad message length"},
	{BGP_ERR_HEADER, BGP_HEADER_BAD_TYPE, "bad message type"},
	{BGP_ERR_OPEN, BGP_OPEN_UNSPECIFIC, "malformed"},
	{BGP_ERR_OPEN, BGP_OPEN_VERSION, "unsupported version number"},
	{BGP_ERR_OPEN, BGP_OPEN_PEER_AS, "bad peer AS"},
	{BGP_ERR_OPEN, BGP_OPEN_IDENTIFIER, "bad BGP identifier"},
	{BGP_ERR_OPEN, BGP_OPEN_PARAMETER, "unsupported optional parameter"},
	{BGP_ERR_OPEN, BGP_OPEN_HOLD_TIME, "unacceptable hold time"},
	{BGP_ERR_OPEN, BGP_OPEN_CAPABILITY, "unsupported capability"},
	{BGP_ERR_OPEN, BGP_OPEN_ROLE, "role mismatch"},
	{BGP_ERR_UPDATE, BGP_UPDATE_MALFORMED_LIST, "malformed attribute list"},
	{BGP_ERR_UPDATE, BGP_UPDATE_UNRECOGNIZED_WELL_KNOWN, "unrecognized well-known attribute"},
	{BGP_ERR_UPDATE, BGP_UPDATE_OPTIONAL_ATTRIBUTE, "optional attribute error"},
	{BGP_ERR_UPDATE, BGP_UPDATE_NETWORK, "invalid network field"},
	{BGP_ERR_FSM, 1, "unexpected message in OpenSent"}, /* RFC 6608 */
	{BGP_ERR_FSM, 2, "unexpected message in OpenConfirm"},
	{BGP_ERR_FSM, 3, "unexpected message in Established"},
	{BGP_ERR_CEASE, BGP_CEASE_PREFIX_LIMIT, "maximum number of prefixes reached"},
	{BGP_ERR_CEASE, BGP_CEASE_SHUTDOWN, "administrative shutdown"},
	{BGP_ERR_CEASE, BGP_CEASE_DECONFIGURED, "peer de-configured"},
	{BGP_ERR_CEASE, BGP_CEASE_RESET, "administrative reset"},
	{BGP_ERR_CEASE, BGP_CEASE_REJECTED, "connection rejected"},
	{BGP_ERR_CEASE, BGP_CEASE_CONFIGURATION, "other configuration change"},
	{BGP_ERR_CEASE, BGP_CEASE_COLLISION, "connection collision resolution"},
	{BGP_ERR_CEASE, BGP_CEASE_RESOURCES, "out of resources"},
	{BGP_ERR_CEASE, BGP_CEASE_HARD_RESET, "hard reset"},
	{BGP_ERR_CEASE, BGP_CEASE_BFD_DOWN, "BFD down"},
	{BGP_ERR_REFRESH, 1, "invalid message length"},
};

static const char *code_name(uint8_t code)
{
	switch (code) {
	case BGP_ERR_HEADER: return "message header error";
	case BGP_ERR_OPEN: return "OPEN message error";
	case BGP_ERR_UPDATE: return "UPDATE message error";
	case BGP_ERR_HOLD: return "hold timer expired";
	case BGP_ERR_FSM: return "finite state machine error";
	case BGP_ERR_CEASE: return "cease";
	case BGP_ERR_REFRESH: return "ROUTE-REFRESH message error";
	case BGP_ERR_SEND_HOLD: return "send hold timer expired";
	default: return "unknown error";
	}
}

static const char *subcode_name(uint8_t code, uint8_t subcode)
{
	for (size_t i = 0; i < sizeof(subcodes) / sizeof(subcodes[0]); i++)
		if (subcodes[i].code == code && subcodes[i].subcode == subcode)
			return subcodes[i].text;
	return NULL;
}

const char *bgp_report_format(const struct bgp_fault_report *r, char *buf, size_t size)
{
	const char *sub = subcode_name(r->code, r->subcode);
	struct sb s = sb_of(buf, size);

	sb_printf(&s, "%s", code_name(r->code));
	if (sub)
		sb_printf(&s, ": %s", sub);
	sb_printf(&s, " (%u/%u)", r->code, r->subcode);
	/* RFC 9003 2: a length and that many bytes of text; what else stands there is not shown. */
	if (r->code == BGP_ERR_CEASE &&
	    (r->subcode == BGP_CEASE_SHUTDOWN || r->subcode == BGP_CEASE_RESET) &&
	    r->data_size > 1 && r->data[0] && r->data[0] < r->data_size) {
		sb_str(&s, ", \"");
		sb_escaped(&s, r->data + 1, r->data[0]);
		sb_str(&s, "\"");
	}
	return buf;
}
