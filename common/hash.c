/* hash.c - SHA-256 and a checksum. The only file that knows libsodium's hash. See hash.h. */
#include "common/hash.h"

#include <errno.h>
#include <sodium.h>

struct orch_sha256 {
    crypto_hash_sha256_state state;
};

_Static_assert(ORCH_HEX_SIZE == 2 * crypto_hash_sha256_BYTES + 1, "hex size of SHA-256");

struct orch_sha256 *orch_sha256_new(void)
{
    struct orch_sha256 *h = orch_xcalloc(1, sizeof(*h));

    (void)crypto_hash_sha256_init(&h->state); /* always 0 */
    return h;
}

void orch_sha256_add(struct orch_sha256 *h, const void *p, size_t n)
{
    if (n)
        (void)crypto_hash_sha256_update(&h->state, p, n);
}

void orch_sha256_hex(struct orch_sha256 *h, char ret[ORCH_HEX_SIZE])
{
    unsigned char digest[crypto_hash_sha256_BYTES];

    (void)crypto_hash_sha256_final(&h->state, digest);
    (void)sodium_bin2hex(ret, ORCH_HEX_SIZE, digest, sizeof(digest));
    free(h);
}

void orch_sha256_buf(const void *p, size_t n, char ret[ORCH_HEX_SIZE])
{
    struct orch_sha256 *h = orch_sha256_new();

    orch_sha256_add(h, p, n);
    orch_sha256_hex(h, ret);
}

void orch_checksum_buf(const void *p, size_t n, char ret[ORCH_HEX_SIZE])
{
    unsigned char digest[(ORCH_HEX_SIZE - 1) / 2];

    (void)crypto_generichash(digest, sizeof(digest), p, n, NULL, 0); /* fails for other sizes only */
    (void)sodium_bin2hex(ret, ORCH_HEX_SIZE, digest, sizeof(digest));
}

/* Reads to the end; -EFBIG as soon as there is a byte too many, so an endless file ends. */
static int64_t add_fd(struct orch_sha256 *h, int fd, uint64_t max)
{
    unsigned char chunk[32768];
    uint64_t total = 0;
    ssize_t n;

    for (;;) {
        n = read(fd, chunk, sizeof(chunk));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return (int64_t)total;
        if ((uint64_t)n > max - total)
            return -EFBIG;
        orch_sha256_add(h, chunk, (size_t)n);
        total += (uint64_t)n;
    }
}

int64_t orch_sha256_fd(int fd, uint64_t max, char ret[ORCH_HEX_SIZE])
{
    struct orch_sha256 *h = orch_sha256_new();
    char hex[ORCH_HEX_SIZE];
    int64_t n = add_fd(h, fd, max > INT64_MAX ? INT64_MAX : max);

    orch_sha256_hex(h, hex);
    for (size_t i = 0; n >= 0 && i < sizeof(hex); i++)
        ret[i] = hex[i];
    return n;
}
