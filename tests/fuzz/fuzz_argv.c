/* fuzz_argv.c - arguments of any bytes: what is kept is within its bounds, and a secret of a known form that
 * stands in them as a word of its own is not in it. */
#include <stdlib.h>
#include <string.h>
#include "supervisor/argv.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

#define PART "Zq7Zq7Zq7Zq7Zq7Zq7Zq7Zq7"
#define MAX 16

static void check_bounds(const struct orch_strv *got)
{
    size_t sum = 0;

    for (size_t i = 0; i < got->n; i++) {
        size_t n = strlen(got->v[i]);

        if (n > ORCH_ARGV_ARG_BYTES || strstr(got->v[i], "Zq7Zq7Zq7"))
            abort();
        sum += n;
    }
    if (sum > ORCH_ARGV_ALL_BYTES)
        abort();
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static const char *const secrets[] = {" ghp_" PART " ", " --password " PART " ", "\nTOKEN=" PART " ",
                                          " a://b:" PART "@c ", "\nAuthorization: Bearer " PART "\n"};
    const char *argv[MAX + 1] = {NULL};
    struct orch_strv all = {0}, got = {0};
    bool more = false;
    size_t n = 0;

    while (size > 1 && n < MAX) {
        const unsigned char *end = memchr(data + 1, '\0', size - 1);
        size_t len = end ? (size_t)(end - data) : size;
        char *left = orch_xstrndup((const char *)data + 1, len - 1);

        for (char *c = left; *c; c++) /* it is not to have the secret by itself */
            *c = *c == 'Z' ? 'z' : *c;
        orch_strv_add_take(&all,
                           orch_xasprintf("%.40s%s%s", left, secrets[data[0] % ORCH_NELEM(secrets)], left));
        free(left);
        argv[n] = all.v[n];
        n++;
        data += len;
        size -= len;
    }
    orch_argv_mask(argv, &got, &more);
    check_bounds(&got);
    orch_strv_fini(&got);
    orch_strv_fini(&all);
    return 0;
}
