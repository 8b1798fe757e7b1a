/* SPDX-License-Identifier: Apache-2.0 */
/* names: numbers of the wire in the words of RFC 7296, for traces and logs. */
#include <stddef.h>
#include "ike/wire.h"

struct name {
	uint16_t number;
	const char *text;
};

static const struct name exchanges[] = {
	{IKE_SA_INIT, "IKE_SA_INIT"},
	{IKE_AUTH, "IKE_AUTH"},
	{IKE_CREATE_CHILD_SA, "CREATE_CHILD_SA"},
	{IKE_INFORMATIONAL, "INFORMATIONAL"},
	{IKE_INTERMEDIATE, "IKE_INTERMEDIATE"},
	{IKE_FOLLOWUP_KE, "IKE_FOLLOWUP_KE"},
};

static const struct name payloads[] = {
	{IKE_PL_NONE, "none"}, {IKE_PL_SA, "SA"},           {IKE_PL_KE, "KE"},
	{IKE_PL_IDI, "IDi"},   {IKE_PL_IDR, "IDr"},         {IKE_PL_CERT, "CERT"},
	{IKE_PL_AUTH, "AUTH"}, {IKE_PL_CERTREQ, "CERTREQ"}, {IKE_PL_NONCE, "Nonce"},
	{IKE_PL_NOTIFY, "N"},  {IKE_PL_DELETE, "D"},        {IKE_PL_VENDOR, "V"},
	{IKE_PL_TSI, "TSi"},   {IKE_PL_TSR, "TSr"},         {IKE_PL_SK, "SK"},
	{IKE_PL_CP, "CP"},     {IKE_PL_EAP, "EAP"},         {IKE_PL_SKF, "SKF"},
};

#define N_OF(a) (sizeof(a) / sizeof((a)[0]))

static const char *lookup(const struct name *names, size_t n, uint16_t number)
{
	for (size_t i = 0; i < n; i++)
		if (names[i].number == number)
			return names[i].text;
	return "?";
}

const char *ike_exchange_name(uint8_t exchange)
{
	return lookup(exchanges, N_OF(exchanges), exchange);
}

const char *ike_payload_name(uint8_t type)
{
	return lookup(payloads, N_OF(payloads), type);
}
