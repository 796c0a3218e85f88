/* sign.c - signatures. The only file that knows libsodium's. See sign.h. */
#include "common/sign.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define VARIANT sodium_base64_VARIANT_ORIGINAL

_Static_assert(ORCH_KEY_SIZE == sodium_base64_ENCODED_LEN(crypto_sign_SEEDBYTES, VARIANT), "seed");
_Static_assert(ORCH_KEY_SIZE == sodium_base64_ENCODED_LEN(crypto_sign_PUBLICKEYBYTES, VARIANT), "public key");
_Static_assert(ORCH_SIG_SIZE == sodium_base64_ENCODED_LEN(crypto_sign_BYTES, VARIANT), "signature");

struct pair {
    unsigned char public[crypto_sign_PUBLICKEYBYTES], secret[crypto_sign_SECRETKEYBYTES];
};

static void encode(const unsigned char *p, size_t n, char *ret, size_t size)
{
    (void)sodium_bin2base64(ret, size, p, n, VARIANT);
}

/* Exactly n bytes, and in the one spelling that they have. */
static bool decode(const char *text, unsigned char *ret, size_t n)
{
    size_t len = 0;

    return sodium_base642bin(ret, n, text, strlen(text), NULL, &len, NULL, VARIANT) == 0 && len == n;
}

void orch_sign_new(char ret_secret[ORCH_KEY_SIZE], char ret_public[ORCH_KEY_SIZE])
{
    unsigned char seed[crypto_sign_SEEDBYTES];
    struct pair k;

    if (sodium_init() < 0) /* no random numbers: no key */
        abort();
    randombytes_buf(seed, sizeof(seed));
    (void)crypto_sign_seed_keypair(k.public, k.secret, seed); /* always 0 */
    encode(seed, sizeof(seed), ret_secret, ORCH_KEY_SIZE);
    encode(k.public, sizeof(k.public), ret_public, ORCH_KEY_SIZE);
    sodium_memzero(seed, sizeof(seed));
    sodium_memzero(&k, sizeof(k));
}

int orch_sign(const char *secret, const void *p, size_t n, char ret_sig[ORCH_SIG_SIZE],
              char ret_public[ORCH_KEY_SIZE])
{
    unsigned char seed[crypto_sign_SEEDBYTES], sig[crypto_sign_BYTES];
    struct pair k;

    if (!decode(secret, seed, sizeof(seed)))
        return -EINVAL;
    (void)crypto_sign_seed_keypair(k.public, k.secret, seed);
    (void)crypto_sign_detached(sig, NULL, p, n, k.secret); /* always 0 */
    encode(sig, sizeof(sig), ret_sig, ORCH_SIG_SIZE);
    encode(k.public, sizeof(k.public), ret_public, ORCH_KEY_SIZE);
    sodium_memzero(seed, sizeof(seed));
    sodium_memzero(&k, sizeof(k));
    return 0;
}

bool orch_sign_valid(const char *public, const char *sig, const void *p, size_t n)
{
    unsigned char key[crypto_sign_PUBLICKEYBYTES], bytes[crypto_sign_BYTES];

    return decode(public, key, sizeof(key)) && decode(sig, bytes, sizeof(bytes)) &&
           crypto_sign_verify_detached(bytes, p, n, key) == 0;
}

bool orch_sign_is_key(const char *text)
{
    unsigned char key[crypto_sign_PUBLICKEYBYTES];

    return decode(text, key, sizeof(key));
}

void orch_sign_wipe(void *p, size_t n)
{
    sodium_memzero(p, n);
}
