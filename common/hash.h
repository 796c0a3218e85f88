/* hash.h - SHA-256 (FIPS 180-4) and a checksum by libsodium; digests travel as 64 lower-case hex digits. */
#ifndef ORCH_COMMON_HASH_H
#define ORCH_COMMON_HASH_H

#include "common/util.h"

#define ORCH_HEX_SIZE 65 /* 64 digits and NUL */

struct orch_sha256; /* a running hash */

struct orch_sha256 *orch_sha256_new(void);
void orch_sha256_add(struct orch_sha256 *h, const void *p, size_t n);
void orch_sha256_hex(struct orch_sha256 *h, char ret[ORCH_HEX_SIZE]); /* finishes and frees h */
void orch_sha256_buf(const void *p, size_t n, char ret[ORCH_HEX_SIZE]);
/* BLAKE2b, several times faster: finds damage in what only we read again, binds nothing. */
void orch_checksum_buf(const void *p, size_t n, char ret[ORCH_HEX_SIZE]);
/* Hashes an open file from its current offset, at most max bytes; returns the byte count, -EFBIG or -errno.
 */
int64_t orch_sha256_fd(int fd, uint64_t max, char ret[ORCH_HEX_SIZE]);

#endif
