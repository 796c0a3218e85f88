/*
 * fuzz_filter.c - policies made from the input: what they mean against what filter and supervisor make of
 * them (tests/lib/policy_gen.h). The input is consumed eight bytes a choice; what is behind its end follows
 * from a seed, so a short input is a policy too.
 */
#include <stdlib.h>
#include "tests/lib/policy_gen.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct gen g = {.data = data, .n = size, .seed = 0x9e3779b97f4a7c15};
    char *text = NULL;
    size_t refused = 0;
    if (gen_round(&g, 100, &refused, &text) == GEN_DIFFERS) {
        (void)fprintf(stderr, "%s\n", text);
        abort();
    }
    return 0;
}
