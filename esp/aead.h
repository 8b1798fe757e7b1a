/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aead: protection of ESP packets, one small interface with several backends: libipsec-mb (every
 * suite, fast), an AES-GCM of our own for bursts (faster), OpenSSL (the reference, on every platform). Combined algorithms (AES-CBC + HMAC) stand
 * behind the same interface as AEADs: a backend protects one ESP packet as a whole.
 *
 * A packet is laid out as RFC 4303 2 says: SPI, sequence number, IV, payload (with its trailer,
 * already padded to the block size), ICV. The caller has written SPI, sequence number and IV; the
 * backend works in place.
 *
 *	esp -> | SPI 4 | Seq 4 | IV iv_size | payload payload_size | ICV icv_size |
 *
 * Authenticated besides the payload: SPI, sequence number, and with ESN its high half (RFC 4106 5,
 * RFC 7634 2.1; RFC 4303 2.2.1: for HMAC it is appended to the data, never sent). HMAC and GMAC
 * (RFC 4543 3.3) authenticate the IV as such, too; with the others it is a part of the nonce.
 */
#ifndef ESP_AEAD_H
#define ESP_AEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ESP_IV_MAX       16
#define ESP_ICV_MIN      8
#define ESP_ICV_MAX      32
#define ESP_ENCR_KEY_MAX 36 /* a key of 256 bits and its salt */

/* IANA numbers, as in dp_msg.h and IKE. */
enum esp_encr {
	ESP_ENCR_AES_CBC = 12,            /* RFC 3602 */
	ESP_ENCR_AES_GCM_8 = 18,          /* RFC 4106 */
	ESP_ENCR_AES_GCM_12 = 19,         /* RFC 4106 */
	ESP_ENCR_AES_GCM_16 = 20,         /* RFC 4106 */
	ESP_ENCR_NULL_AUTH_AES_GMAC = 21, /* RFC 4543 */
	ESP_ENCR_CHACHA20_POLY1305 = 28,  /* RFC 7634 */
};

enum esp_integ {
	ESP_INTEG_NONE = 0,
	ESP_INTEG_HMAC_SHA1_96 = 2,       /* RFC 2404 */
	ESP_INTEG_HMAC_SHA2_256_128 = 12, /* RFC 4868 */
	ESP_INTEG_HMAC_SHA2_384_192 = 13,
	ESP_INTEG_HMAC_SHA2_512_256 = 14,
};

/* How a packet is protected, whatever the sizes of keys and ICV. */
enum esp_kind {
	ESP_KIND_GCM,
	ESP_KIND_GMAC, /* authentic, but in clear */
	ESP_KIND_CHACHA20_POLY1305,
	ESP_KIND_CBC_HMAC,
};

/* What a pair of transforms means for a packet's layout. */
struct esp_suite {
	uint16_t encr, encr_key_bits, integ;
	uint8_t kind; /* enum esp_kind */
	uint8_t iv_size;
	uint8_t icv_size;
	uint8_t align;         /* the payload's granularity: 16 for CBC, else 4 (RFC 4303 2.4) */
	uint8_t encr_key_size; /* bytes, salt included */
	uint8_t salt_size;
	uint8_t integ_key_size;
	bool aead; /* one transform does both, and its IV is a counter */
};

/*
 * False if the combination is unknown or inconsistent (an AEAD with integrity, CBC without).
 * ChaCha20 has one key length, which IKE does not name: 0 stands for its 256 bits.
 */
bool esp_suite_init(struct esp_suite *out, uint16_t encr, uint16_t encr_key_bits, uint16_t integ);
/* "aes-256-gcm-16", "chacha20-poly1305", "aes-128-cbc/sha2-256". `buf` holds ESP_SUITE_STRLEN. */
#define ESP_SUITE_STRLEN 40
const char *esp_suite_format(const struct esp_suite *s, char buf[ESP_SUITE_STRLEN]);

/* All suites there are, by number; the number of one of them. */
#define ESP_N_SUITES 25u
struct esp_suite esp_suite_at(size_t i);
size_t esp_suite_index(const struct esp_suite *s); /* ESP_N_SUITES: unknown */

struct esp_key; /* expanded keys of one direction of one SA; belongs to its backend */

struct esp_job {
	const struct esp_key *key;
	uint8_t *esp; /* start of the ESP header */
	uint32_t
		payload_size; /* bytes between IV and ICV; a multiple of the suite's alignment, not 0 */
	uint32_t seq_hi;      /* with ESN, else ignored */
	bool ok;              /* out. open: authentic. seal: done. A job never affects another's */
};

struct esp_backend {
	const char *name; /* "ipsec-mb", "vaes", "vaes-256", "openssl", "cryptodev" */

	bool (*supports)(const struct esp_suite *s);

	/* Several threads may use a key at the same time, each with its own context. */
	bool keys_shared;

	/* A context for one thread; NULL when the library or the CPU does not serve. */
	void *(*ctx_new)(void);
	void (*ctx_free)(void *ctx);

	/* encr_key: key, then salt. NULL: unsupported or no memory. Keys are wiped by key_free. */
	struct esp_key *(*key_new)(void *ctx, const struct esp_suite *s, bool esn,
				   const uint8_t *encr_key, const uint8_t *integ_key);
	void (*key_free)(struct esp_key *key);

	/* Encrypts and writes ICVs / checks ICVs and decrypts. On a failed open the payload is undefined. */
	void (*seal)(void *ctx, struct esp_job *jobs, size_t n);
	void (*open)(void *ctx, struct esp_job *jobs, size_t n);

	/* Fetches what the first packets with the key will read. NULL: nothing worth it. */
	void (*prefetch)(const struct esp_key *key);

	/* Memory for packets that it can work on, zeroed. NULL: any will do. */
	void *(*mem_new)(size_t size);
	void (*mem_free)(void *mem);
};

extern const struct esp_backend esp_backend_vaes; /* x86-64 only, as the next */
extern const struct esp_backend esp_backend_vaes_256;
extern const struct esp_backend esp_backend_ipsec_mb;
extern const struct esp_backend esp_backend_openssl;

/* The backends in order of preference, NULL-terminated; and one by name, or NULL. */
extern const struct esp_backend *const esp_backends[];
const struct esp_backend *esp_backend_by_name(const char *name);

/*
 * What a burst takes to be sealed and opened, in units of a clock of the caller's; the least of many.
 * It soon gives up once that can only be more than `enough`. UINT64_MAX: the backend does not serve
 * the suite.
 */
uint64_t esp_backend_time(const struct esp_backend *b, const struct esp_suite *s,
			  uint64_t (*clock)(void), uint64_t enough);

/* Known answers for every suite that the backend supports; run before a backend is used. */
bool esp_backend_self_test(const struct esp_backend *b);

#endif
