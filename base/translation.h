/* SPDX-License-Identifier: Apache-2.0 */
/*
 * translation: prefixes that go by other names at the other end of a connection, one to one, host bits
 * kept (the NAT of RFC 2663 4.1.1, for whole prefixes, and without a state of its own).
 *
 * `here` is the name on our side, `there` the one in the tunnel, which the peer uses. Within a list and
 * one side no two `here` overlap and no two `there` do, so that a name has one meaning at each end.
 */
#ifndef BASE_TRANSLATION_H
#define BASE_TRANSLATION_H

#include "base/addr.h"

enum translation_side {
	TRANSLATION_THEIRS, /* hosts behind the peer */
	TRANSLATION_OURS,   /* hosts behind us */
};

struct translation {
	enum translation_side side;
	struct ip_prefix here, there; /* of one family and length */
};

enum translation_result {
	TRANSLATION_NONE, /* it has the same name at both ends */
	TRANSLATION_DONE,
	/* None: at the other end the name means something else. */
	TRANSLATION_TAKEN,
};

/*
 * The other end's name of a prefix of one side, canonical; `out` is `p` itself where nothing is done, and
 * is not to be used where the name is taken. What is wider than a rule's prefix keeps its name.
 */
enum translation_result translation_to_here(const struct translation *t, size_t n,
					    enum translation_side side, const struct ip_prefix *p,
					    struct ip_prefix *out);
enum translation_result translation_to_there(const struct translation *t, size_t n,
					     enum translation_side side, const struct ip_prefix *p,
					     struct ip_prefix *out);

bool translation_equal(const struct translation *a, size_t n_a, const struct translation *b,
		       size_t n_b);

#endif
