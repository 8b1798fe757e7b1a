/* SPDX-License-Identifier: Apache-2.0 */
/* translation: prefixes that go by other names at the other end. See translation.h. */
#include "base/translation.h"

/* The first bits of `to`, the others of `p`. */
static struct ip_prefix rename_prefix(const struct ip_prefix *p, const struct ip_prefix *to)
{
	struct ip_prefix out = *p;
	unsigned i;

	for (i = 0; i < to->len / 8u; i++)
		out.addr.b[i] = to->addr.b[i];
	if (to->len % 8) {
		const uint8_t mask = (uint8_t)(0xff00u >> to->len % 8);

		out.addr.b[i] = (uint8_t)((to->addr.b[i] & mask) | (p->addr.b[i] & ~mask));
	}
	return out;
}

static enum translation_result convert(const struct translation *t, size_t n,
				       enum translation_side side, bool to_here,
				       const struct ip_prefix *p, struct ip_prefix *out)
{
	enum translation_result result = TRANSLATION_NONE;
	size_t i;

	*out = ip_prefix_network(p);
	for (i = 0; i < n; i++) {
		const struct ip_prefix *from = to_here ? &t[i].there : &t[i].here;
		const struct ip_prefix *to = to_here ? &t[i].here : &t[i].there;

		if (t[i].side != side)
			continue;
		if (ip_prefix_within(from, p)) {
			*out = rename_prefix(out, to);
			return TRANSLATION_DONE;
		}
		if (ip_prefix_within(to, p))
			result = TRANSLATION_TAKEN;
	}
	return result;
}

enum translation_result translation_to_here(const struct translation *t, size_t n,
					    enum translation_side side, const struct ip_prefix *p,
					    struct ip_prefix *out)
{
	return convert(t, n, side, true, p, out);
}

enum translation_result translation_to_there(const struct translation *t, size_t n,
					     enum translation_side side, const struct ip_prefix *p,
					     struct ip_prefix *out)
{
	return convert(t, n, side, false, p, out);
}

bool translation_equal(const struct translation *a, size_t n_a, const struct translation *b,
		       size_t n_b)
{
	size_t i;

	if (n_a != n_b)
		return false;
	for (i = 0; i < n_a; i++)
		if (a[i].side != b[i].side || !ip_prefix_equal(&a[i].here, &b[i].here) ||
		    !ip_prefix_equal(&a[i].there, &b[i].there))
			return false;
	return true;
}
