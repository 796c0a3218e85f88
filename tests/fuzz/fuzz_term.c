/* fuzz_term.c - output of an agent, any bytes in any pieces: what leaves the filter is text and whole
 * sequences that no terminal answers, by a grammar of its own; the same for all pieces; and nothing is
 * neither shown nor counted. */
#include <stdlib.h>
#include <string.h>
#include "common/escape.h"
#include "supervisor/term_filter.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static size_t csi_length(const unsigned char *p, size_t n)
{
    size_t i = 2;

    while (i < n && p[i] >= 0x20 && p[i] < 0x40)
        i++;
    if (i == n || memchr("cntxipqyvzwWQRN", p[i], 15)) /* answers, prints, resizes; but the cursor's look */
        return i < n && p[i] == 'q' && p[i - 1] == ' ' ? i + 1 : 0;
    if (p[2] == '>' || p[2] == '<' || p[2] == '=' || (p[2] == '?' && p[i] != 'h' && p[i] != 'l'))
        return 0;
    return i + 1;
}

static size_t one(const unsigned char *p, size_t n, bool utf8)
{
    uint32_t cp;

    if (p[0] == 0x1b && n > 1 && p[1] == '[')
        return csi_length(p, n);
    if (p[0] == 0x1b && n > 1 && (p[1] == '(' || p[1] == ')'))
        return n > 2 && memchr("0AB", p[2], 3) ? 3 : 0;
    if (p[0] == 0x1b)
        return n > 1 && memchr("78DEHM=>", p[1], 8) ? 2 : 0;
    if (p[0] < 0x80)
        return p[0] == 0x7f || (p[0] < 0x20 && (p[0] < 7 || p[0] > 15)) ? 0 : 1;
    if (!utf8)
        return 0;
    n = orch_utf8_next(p, n < 4 ? n : 4, &cp);
    return n > 0 && cp >= 0xa0 ? n : 0;
}

static void check_grammar(const struct orch_buf *b, bool utf8)
{
    const unsigned char *p = (const unsigned char *)b->data;

    for (size_t i = 0, n; i < b->len; i += n) {
        n = one(p + i, b->len - i, utf8);
        if (n == 0)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    ORCH_AUTO_BUF struct orch_buf whole = {0};
    ORCH_AUTO_BUF struct orch_buf pieces = {0};
    bool utf8 = size > 0 && (data[0] & 1);
    struct orch_term_filter f = {.utf8 = utf8}, g = {.utf8 = utf8};
    uint64_t switched;

    orch_term_filter(&f, data, size, &whole);
    for (size_t i = 0, n; i < size; i += n) {
        n = 1 + data[i] % 7;
        n = n < size - i ? n : size - i;
        orch_term_filter(&g, data + i, n, &pieces);
    }
    if (whole.len != pieces.len || (whole.len && memcmp(whole.data, pieces.data, whole.len) != 0))
        abort();
    if (f.len > sizeof(f.seq) || f.dropped != g.dropped || f.touched != g.touched || f.dropped > size)
        abort();
    check_grammar(&whole, utf8);
    switched = f.touched;
    orch_buf_reset(&whole);
    orch_term_filter_reset(&f, &whole);
    if (f.state != ORCH_TERM_GROUND || f.touched || (!switched && whole.len))
        abort();
    check_grammar(&whole, utf8);
    return 0;
}
