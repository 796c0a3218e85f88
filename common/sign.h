/*
 * sign.h - Ed25519 signatures (RFC 8032) by libsodium. Keys and signatures travel as base64 (RFC 4648, with
 * padding).
 */
#ifndef ORCH_COMMON_SIGN_H
#define ORCH_COMMON_SIGN_H

#include "common/util.h"

#define ORCH_KEY_SIZE 45 /* 44 characters for 32 bytes, and NUL */
#define ORCH_SIG_SIZE 89 /* 88 characters for 64 bytes, and NUL */

/* A new pair from the kernel's random numbers. secret is the seed: the public key follows from it. */
void orch_sign_new(char ret_secret[ORCH_KEY_SIZE], char ret_public[ORCH_KEY_SIZE]);
/* The public key of a secret one, and the signature. -EINVAL: secret is no key. */
int orch_sign(const char *secret, const void *p, size_t n, char ret_sig[ORCH_SIG_SIZE],
              char ret_public[ORCH_KEY_SIZE]);
/* Whether sig is public's signature of these bytes; false for what is no key or no signature. */
bool orch_sign_valid(const char *public, const char *sig, const void *p, size_t n);
/* Whether the text is a key. */
bool orch_sign_is_key(const char *text);
/* Forgets a secret. */
void orch_sign_wipe(void *p, size_t n);

#endif
