/* probe_blob.c - embeds build/probe. The path is relative to the root of the tree, where make runs the
 * compiler. */
#include "supervisor/probe_blob.h"

__asm__(".section .rodata.orch_probe_blob, \"a\", @progbits\n"
        ".global orch_probe_blob\n"
        ".type orch_probe_blob, @object\n"
        ".balign 16\n"
        "orch_probe_blob:\n"
        ".incbin \"build/probe\"\n"
        "orch_probe_blob_end_:\n"
        ".size orch_probe_blob, orch_probe_blob_end_ - orch_probe_blob\n"
        ".balign 8\n"
        ".type orch_probe_blob_size_, @object\n"
        ".size orch_probe_blob_size_, 8\n"
        ".global orch_probe_blob_size_\n"
        ".hidden orch_probe_blob_size_\n"
        "orch_probe_blob_size_:\n"
        ".quad orch_probe_blob_end_ - orch_probe_blob\n"
        ".previous\n");

extern const unsigned long orch_probe_blob_size_;

size_t orch_probe_blob_len(void)
{
    return orch_probe_blob_size_;
}
