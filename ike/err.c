/* SPDX-License-Identifier: Apache-2.0 */
/* err: what each enum ike_err means, in words, in consequence and on the wire. */
#include <stddef.h>
#include "ike/wire.h"

#define N_OF(a) (sizeof(a) / sizeof((a)[0]))

/* RFC 7296 2.21: INVALID_SYNTAX is fatal for the IKE SA; other refusals leave it standing. */
static const struct ike_err_desc descs[] = {
	[IKE_OK] = {"ok", "no error", IKE_DISP_NONE, 0},
	[IKE_ERR_TRUNCATED] = {"truncated", "message or payload ends early",
			       IKE_DISP_NOTIFY_AND_CLOSE, IKE_N_INVALID_SYNTAX},
	[IKE_ERR_LENGTH] = {"length", "length field is not the datagram's size", IKE_DISP_DROP, 0},
	[IKE_ERR_VERSION] = {"version", "major version above 2", IKE_DISP_DROP,
			     IKE_N_INVALID_MAJOR_VERSION},
	[IKE_ERR_IKEV1] = {"ikev1", "IKE version 1, which is not spoken here", IKE_DISP_DROP, 0},
	[IKE_ERR_EXCHANGE] = {"exchange", "unknown exchange type", IKE_DISP_DROP, 0},
	[IKE_ERR_CRITICAL] = {"critical", "unknown payload marked critical", IKE_DISP_NOTIFY,
			      IKE_N_UNSUPPORTED_CRITICAL_PAYLOAD},
	[IKE_ERR_DUPLICATE] = {"duplicate", "a payload that may stand once stands twice",
			       IKE_DISP_NOTIFY_AND_CLOSE, IKE_N_INVALID_SYNTAX},
	[IKE_ERR_SYNTAX] = {"syntax", "a payload breaks its own format", IKE_DISP_NOTIFY_AND_CLOSE,
			    IKE_N_INVALID_SYNTAX},
	[IKE_ERR_MISSING] = {"missing", "a required payload is absent", IKE_DISP_NOTIFY_AND_CLOSE,
			     IKE_N_INVALID_SYNTAX},
	[IKE_ERR_ICV] = {"icv", "integrity check failed", IKE_DISP_DROP, 0},
	[IKE_ERR_PADDING] = {"padding", "pad length goes beyond the plaintext",
			     IKE_DISP_NOTIFY_AND_CLOSE, IKE_N_INVALID_SYNTAX},
	[IKE_ERR_NO_PROPOSAL] = {"no-proposal", "no proposal in common", IKE_DISP_NOTIFY,
				 IKE_N_NO_PROPOSAL_CHOSEN},
	[IKE_ERR_KE] = {"ke", "public value refused", IKE_DISP_NOTIFY, IKE_N_INVALID_SYNTAX},
	[IKE_ERR_NONCE] = {"nonce", "nonce length not allowed", IKE_DISP_NOTIFY,
			   IKE_N_INVALID_SYNTAX},
	[IKE_ERR_TS] = {"ts", "no traffic selectors in common", IKE_DISP_NOTIFY,
			IKE_N_TS_UNACCEPTABLE},
	[IKE_ERR_AUTH] = {"auth", "authentication failed", IKE_DISP_NOTIFY_AND_CLOSE,
			  IKE_N_AUTHENTICATION_FAILED},
	[IKE_ERR_RESOURCES] = {"resources", "out of memory or of a limited resource",
			       IKE_DISP_LOCAL, IKE_N_TEMPORARY_FAILURE},
	[IKE_ERR_CRYPTO] = {"crypto", "a cryptographic primitive failed", IKE_DISP_LOCAL, 0},
};
_Static_assert(N_OF(descs) == IKE_ERR_END, "every error has its row");

const struct ike_err_desc *ike_err_desc(enum ike_err e)
{
	static const struct ike_err_desc unknown = {"?", "unknown error", IKE_DISP_LOCAL, 0};

	return (size_t)e < N_OF(descs) ? &descs[e] : &unknown;
}

const char *ike_err_text(enum ike_err e)
{
	return ike_err_desc(e)->text;
}
