/* client_blob.c - embeds build/llm. The path is relative to the root of the tree, where make runs the
 * compiler. */
#include "supervisor/client_blob.h"

__asm__(".section .rodata.orch_llm_blob, \"a\", @progbits\n"
        ".global orch_llm_blob\n"
        ".type orch_llm_blob, @object\n"
        ".balign 16\n"
        "orch_llm_blob:\n"
        ".incbin \"build/llm\"\n"
        "orch_llm_blob_end_:\n"
        ".size orch_llm_blob, orch_llm_blob_end_ - orch_llm_blob\n"
        ".balign 8\n"
        ".type orch_llm_blob_size_, @object\n"
        ".size orch_llm_blob_size_, 8\n"
        ".global orch_llm_blob_size_\n"
        ".hidden orch_llm_blob_size_\n"
        "orch_llm_blob_size_:\n"
        ".quad orch_llm_blob_end_ - orch_llm_blob\n"
        ".previous\n");

extern const unsigned long orch_llm_blob_size_;

size_t orch_llm_blob_len(void)
{
    return orch_llm_blob_size_;
}
