/* fuzz_json.c - the strict JSON reader: whatever it is given, it accepts or refuses with a diagnostic, and
 * leaks nothing. */
#include <stdlib.h>
#include "common/json.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct orch_json *doc = NULL;
    struct orch_diags diags = {0};
    int e = orch_json_parse("fuzz", (const char *)data, size, &doc, &diags);
    if ((e == 0) != (doc != NULL) || (e < 0 && diags.n == 0))
        abort();
    orch_json_free(doc);
    orch_diags_fini(&diags);
    return 0;
}
