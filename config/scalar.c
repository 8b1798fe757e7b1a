/* SPDX-License-Identifier: Apache-2.0 */
/* scalar: text of a node to a value. Strict: what looks like a mistake is one. */
#include "config/schema.h"

#include <stdlib.h>
#include <string.h>

/* Messages quote the value: 'x', a list, a map, or say that there is none. */
static const char *quoted(const struct config_node *n, char buf[CONFIG_SHOWN_SIZE + 2])
{
	char shown[CONFIG_SHOWN_SIZE];
	struct sb s = sb_of(buf, CONFIG_SHOWN_SIZE + 2);

	if (n->kind != CONFIG_NODE_SCALAR)
		return config_shown(n, buf);
	if (!n->size)
		return n->plain ? "nothing" : "''";
	sb_printf(&s, "'%s'", config_shown(n, shown));
	return buf;
}

/* Reports a node that is no scalar or is empty. */
static bool is_value(struct config_parse *p, const struct config_node *n, const char *wanted)
{
	char buf[CONFIG_SHOWN_SIZE + 2];

	if (n->kind == CONFIG_NODE_SCALAR && (n->size || !n->plain))
		return true;
	config_error(&p->diag, n, "%s is wanted here, not %s", wanted, quoted(n, buf));
	return false;
}

bool config_get_bool(struct config_parse *p, const struct config_node *n, bool *out)
{
	char buf[CONFIG_SHOWN_SIZE + 2];

	if (!is_value(p, n, "true or false"))
		return false;
	if (n->plain && !strcmp(n->text, "true")) {
		*out = true;
		return true;
	}
	if (n->plain && !strcmp(n->text, "false")) {
		*out = false;
		return true;
	}
	config_error(&p->diag, n, "true or false is wanted here, not %s", quoted(n, buf));
	return false;
}

/* All of `text` as a decimal number without sign or leading zeros. */
static bool parse_uint(const char *text, size_t size, uint64_t *out)
{
	uint64_t v = 0;
	size_t i;

	if (!size || (size > 1 && text[0] == '0'))
		return false;
	for (i = 0; i < size; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		if (v > (UINT64_MAX - 9) / 10)
			return false;
		v = v * 10 + (uint64_t)(text[i] - '0');
	}
	*out = v;
	return true;
}

bool config_get_uint(struct config_parse *p, const struct config_node *n, uint64_t min,
		     uint64_t max, uint64_t *out)
{
	char buf[CONFIG_SHOWN_SIZE + 2];

	if (!is_value(p, n, "a number"))
		return false;
	if (!n->plain || !parse_uint(n->text, n->size, out)) {
		config_error(&p->diag, n, "a whole number is wanted here, not %s%s", quoted(n, buf),
			     n->plain ? "" : " in quotes");
		return false;
	}
	if (*out < min || *out > max) {
		config_error(&p->diag, n, "%s is out of range; allowed are %llu to %llu", n->text,
			     (unsigned long long)min, (unsigned long long)max);
		return false;
	}
	return true;
}

static const struct unit {
	const char *name;
	uint64_t ms;
} units[] = {
	{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};
#define N_UNITS (sizeof(units) / sizeof(units[0]))

/* Numbers with units, largest unit first, each unit at most once. */
static bool parse_duration(const char *text, size_t size, uint64_t *ms)
{
	size_t at = 0, start, next = 0, u;
	uint64_t v;

	*ms = 0;
	if (!size)
		return false;
	while (at < size) {
		for (start = at; at < size && text[at] >= '0' && text[at] <= '9'; at++)
			;
		if (at - start > 12 || !parse_uint(text + start, at - start, &v))
			return false;
		for (start = at; at < size && (text[at] < '0' || text[at] > '9'); at++)
			;
		for (u = next; u < N_UNITS; u++)
			if (strlen(units[u].name) == at - start &&
			    !memcmp(units[u].name, text + start, at - start))
				break;
		if (u == N_UNITS || v > UINT64_MAX / 1000000 / 86400000)
			return false;
		*ms += v * units[u].ms;
		next = u + 1;
	}
	return *ms <= UINT64_MAX / 1000000;
}

const char *config_duration_format(struct mono_span d, char buf[CONFIG_DURATION_STRLEN])
{
	struct sb s = sb_of(buf, CONFIG_DURATION_STRLEN);
	uint64_t ms = span_to_ms(d);
	size_t u;

	if (!ms) {
		sb_str(&s, "0s");
		return buf;
	}
	for (u = 0; u < N_UNITS; u++) {
		if (ms >= units[u].ms)
			sb_printf(&s, "%llu%s", (unsigned long long)(ms / units[u].ms),
				  units[u].name);
		ms %= units[u].ms;
	}
	return buf;
}

bool config_get_duration(struct config_parse *p, const struct config_node *n, uint64_t min_ms,
			 uint64_t max_ms, bool zero_ok, struct mono_span *out)
{
	char buf[CONFIG_SHOWN_SIZE + 2], low[CONFIG_DURATION_STRLEN], high[CONFIG_DURATION_STRLEN];
	uint64_t v;

	if (!is_value(p, n, "a duration"))
		return false;
	if (parse_uint(n->text, n->size, &v) && v) {
		config_error(&p->diag, n, "the duration has no unit; write %ss or %sms", n->text,
			     n->text);
		return false;
	}
	if (!parse_duration(n->text, n->size, &v)) {
		config_error(&p->diag, n,
			     "%s is no duration; write it like 8h, 1h30m, 270s or 100ms",
			     quoted(n, buf));
		return false;
	}
	*out = span_ms(v);
	if ((v < min_ms || v > max_ms) && !(zero_ok && !v)) {
		config_error(&p->diag, n, "%s is out of range; allowed are %s%s to %s", n->text,
			     zero_ok ? "0s, and " : "",
			     config_duration_format(span_ms(min_ms), low),
			     config_duration_format(span_ms(max_ms), high));
		return false;
	}
	return true;
}

bool config_get_word(struct config_parse *p, const struct config_node *n, const char *const *words,
		     unsigned *out)
{
	char buf[CONFIG_SHOWN_SIZE + 2];
	const char *near;
	struct sb *s;
	size_t i, n_words;

	for (n_words = 0; words[n_words]; n_words++)
		;
	if (n->kind == CONFIG_NODE_SCALAR) {
		for (i = 0; i < n_words; i++) {
			if (!strcmp(words[i], n->text)) {
				*out = (unsigned)i;
				return true;
			}
		}
	}
	s = config_diag_error(&p->diag, n->line, n->column);
	sb_str(s, "one of ");
	for (i = 0; i < n_words; i++)
		sb_printf(s, "%s%s", i ? ", " : "", words[i]);
	sb_printf(s, " is wanted here, not %s", quoted(n, buf));
	near = n->kind == CONFIG_NODE_SCALAR ? config_nearest(n->text, words, n_words) : NULL;
	if (near)
		sb_printf(s, "; did you mean '%s'?", near);
	return false;
}

bool config_get_text(struct config_parse *p, const struct config_node *n, char *out, size_t size)
{
	size_t i;

	if (!is_value(p, n, "text"))
		return false;
	if (n->size >= size) {
		config_error(&p->diag, n,
			     "the text is too long; at most %zu characters are allowed", size - 1);
		return false;
	}
	for (i = 0; i < n->size; i++) {
		if (n->text[i] < 0x21 || n->text[i] > 0x7e) {
			config_error(&p->diag, n,
				     "only printable ASCII characters without spaces are allowed "
				     "here");
			return false;
		}
	}
	memset(out, 0, size);
	memcpy(out, n->text, n->size);
	return true;
}

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool config_get_name(struct config_parse *p, const struct config_node *n, size_t max, char *out,
		     size_t size)
{
	char buf[CONFIG_SHOWN_SIZE + 2];
	size_t i;

	if (!is_value(p, n, "a name"))
		return false;
	if (n->size > max || n->size >= size) {
		config_error(&p->diag, n,
			     "the name %s is too long; at most %zu characters are allowed",
			     quoted(n, buf), max < size ? max : size - 1);
		return false;
	}
	for (i = 0; i < n->size; i++) {
		if (!is_alnum(n->text[i]) && (!i || !strchr("._-", n->text[i])))
			break;
	}
	if (!n->size || i < n->size) {
		config_error(&p->diag, n,
			     "%s is no name; a name begins with a letter or digit and goes on "
			     "with letters, digits, '.', '_' and '-'",
			     quoted(n, buf));
		return false;
	}
	memset(out, 0, size);
	memcpy(out, n->text, n->size);
	return true;
}

bool config_get_path(struct config_parse *p, const struct config_node *n, char *out, size_t size)
{
	char buf[CONFIG_SHOWN_SIZE + 2];
	size_t i;

	if (!is_value(p, n, "a path"))
		return false;
	if (n->text[0] != '/') {
		config_error(&p->diag, n, "%s is no absolute path; begin it with '/'",
			     quoted(n, buf));
		return false;
	}
	if (n->size >= size) {
		config_error(&p->diag, n, "the path is too long; at most %zu bytes are allowed",
			     size - 1);
		return false;
	}
	for (i = 0; i < n->size; i++) {
		if ((unsigned char)n->text[i] < 0x20 || n->text[i] == 0x7f) {
			config_error(&p->diag, n, "the path contains a control character");
			return false;
		}
	}
	memset(out, 0, size);
	memcpy(out, n->text, n->size);
	return true;
}

bool config_get_address(struct config_parse *p, const struct config_node *n, struct ip_addr *out)
{
	char buf[CONFIG_SHOWN_SIZE + 2];
	struct ip_prefix with_len;

	if (!is_value(p, n, "an IP address"))
		return false;
	if (ip_parse(n->text, out) && !ip_is_unspecified(out))
		return true;
	if (ip_prefix_parse(n->text, &with_len))
		config_error(&p->diag, n, "%s has a prefix length; write the address alone",
			     quoted(n, buf));
	else
		config_error(&p->diag, n, "%s is no IP address", quoted(n, buf));
	return false;
}

bool config_get_prefix(struct config_parse *p, const struct config_node *n, bool network,
		       struct ip_prefix *out)
{
	char buf[CONFIG_SHOWN_SIZE + 2], canonical[IP_PREFIX_STRLEN];
	const char *wanted = network ? "a network such as 10.1.0.0/24"
				     : "an address with its prefix length, such as 10.1.0.1/24,";
	struct ip_addr alone;
	struct ip_prefix net;

	if (!is_value(p, n, network ? "a network" : "an address with its prefix length"))
		return false;
	if (!ip_prefix_parse(n->text, out)) {
		if (ip_parse(n->text, &alone))
			config_error(&p->diag, n, "%s has no prefix length; write %s/%u",
				     quoted(n, buf), n->text, ip_bits(&alone));
		else
			config_error(&p->diag, n, "%s is wanted here, not %s", wanted,
				     quoted(n, buf));
		return false;
	}
	if (network && !ip_prefix_is_canonical(out)) {
		net = ip_prefix_network(out);
		config_error(&p->diag, n, "%s has host bits set; the network is %s", quoted(n, buf),
			     ip_prefix_format(&net, canonical));
		return false;
	}
	if (network)
		return true;
	net = ip_prefix_network(out);
	if (ip_is_unspecified(&out->addr) ||
	    (out->addr.family == IP_V4 && out->len < 31 && ip_equal(&net.addr, &out->addr))) {
		config_error(&p->diag, n,
			     "%s is the network itself; write the gateway's own address in it",
			     quoted(n, buf));
		return false;
	}
	return true;
}

bool config_is_list(struct config_parse *p, const struct config_node *n, size_t max)
{
	char buf[CONFIG_SHOWN_SIZE + 2];

	if (n->kind == CONFIG_NODE_SCALAR && n->size) {
		config_error(&p->diag, n, "a list is wanted here; write [%.*s]", CONFIG_SHOWN_SIZE,
			     config_shown(n, buf));
		return false;
	}
	if (n->kind != CONFIG_NODE_LIST) {
		config_error(&p->diag, n, "a list is wanted here, not %s", quoted(n, buf));
		return false;
	}
	if (!n->n) {
		config_error(&p->diag, n, "the list is empty");
		return false;
	}
	if (n->n > max) {
		config_error(&p->diag, n, "the list has %zu entries; at most %zu are allowed", n->n,
			     max);
		return false;
	}
	return true;
}

bool config_get_prefixes(struct config_parse *p, const struct config_node *n, bool network,
			 size_t max, struct ip_prefix **out, size_t *n_out)
{
	const struct config_node *item;
	char buf[CONFIG_SHOWN_SIZE + 2];
	bool ok = true;
	size_t i;

	*n_out = 0;
	*out = NULL;
	if (!config_is_list(p, n, max))
		return false;
	*out = calloc(n->n, sizeof(**out));
	if (!*out) {
		config_error(&p->diag, n, "out of memory");
		return false;
	}
	for (item = n->first; item; item = item->next) {
		struct ip_prefix *x = &(*out)[*n_out];

		if (!config_get_prefix(p, item, network, x)) {
			ok = false;
			continue;
		}
		for (i = 0; i < *n_out && !ip_prefix_equal(&(*out)[i], x); i++)
			;
		if (i < *n_out) {
			config_error(&p->diag, item, "%s is in the list twice", quoted(item, buf));
			ok = false;
			continue;
		}
		++*n_out;
	}
	return ok;
}
