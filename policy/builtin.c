/*
 * builtin.c - the built-in profiles, as they stand in profiles/, inside the binary.
 *
 * The compiler must run in the root of the repository (or with -I to it): .incbin is relative to it. Every
 * text ends with a NUL that is not counted.
 */
#include <string.h>
#include "policy/profile.h"

#define EMBED(name)                                                                                          \
    __asm__(".pushsection .rodata, \"a\", @progbits\n"                                                       \
            "orch_builtin_" #name ":\n"                                                                      \
            ".incbin \"profiles/" #name ".json\"\n"                                                          \
            "orch_builtin_" #name "_end:\n"                                                                  \
            ".byte 0\n"                                                                                      \
            ".popsection\n");                                                                                \
    extern const char orch_builtin_##name[] __attribute__((visibility("hidden")));                           \
    extern const char orch_builtin_##name##_end[] __attribute__((visibility("hidden")))

EMBED(base);
EMBED(plan);
EMBED(implement);
EMBED(verify);
EMBED(gate);

const char *const orch_builtin_names[] = {"base", "plan", "implement", "verify", "gate", NULL};

static const struct {
    const char *start, *end;
} texts[] = {
    {orch_builtin_base, orch_builtin_base_end},           {orch_builtin_plan, orch_builtin_plan_end},
    {orch_builtin_implement, orch_builtin_implement_end}, {orch_builtin_verify, orch_builtin_verify_end},
    {orch_builtin_gate, orch_builtin_gate_end},
};

const char *orch_builtin_text(const char *name, size_t *ret_len)
{
    for (size_t i = 0; i < ORCH_NELEM(texts); i++) {
        if (strcmp(orch_builtin_names[i], name) != 0)
            continue;
        if (ret_len != NULL)
            *ret_len = (size_t)(texts[i].end - texts[i].start);
        return texts[i].start;
    }
    return NULL;
}
