/* chain_of.h - for fuzz targets: any bytes as records that are rightly chained. */
#ifndef ORCH_TESTS_FUZZ_CHAIN_OF_H
#define ORCH_TESTS_FUZZ_CHAIN_OF_H

#include <stdio.h>
#include <string.h>

#include "common/hash.h"

/*
 * Makes a chain of the input's lines, so that the fuzzer gets past the digests: each line is taken as members
 * between the head and "prev".
 */
static inline void chain_of(const uint8_t *data, size_t size, struct orch_buf *out)
{
    char prev[ORCH_HEX_SIZE] = {0};
    size_t seq = 1, start;

    memset(prev, '0', ORCH_HEX_SIZE - 1);
    for (size_t i = 0; i < size; i++) {
        const uint8_t *nl = memchr(data + i, '\n', size - i);
        size_t n = nl ? (size_t)(nl - data) - i : size - i;

        start = out->len;
        orch_buf_printf(out, "{\"v\":1,\"seq\":%zu,", seq++);
        orch_buf_add(out, data + i, n);
        orch_buf_printf(out, ",\"prev\":\"%s\"}\n", prev);
        orch_sha256_buf(out->data + start, out->len - start, prev);
        i += n;
    }
}

#endif
