/*
 * client_blob.h - the in-sandbox client (supervisor/client/llm.c) as bytes in this program.
 *
 * The supervisor copies them into every view as the `llm-*` commands, so nothing of the host has to be bound
 * for them and an installed orch-sandbox is one file. The bytes are constant; the array is not
 * NUL-terminated.
 */
#ifndef ORCH_SUPERVISOR_CLIENT_BLOB_H
#define ORCH_SUPERVISOR_CLIENT_BLOB_H

#include <stddef.h>

extern const unsigned char orch_llm_blob[]; /* a static ELF program */
size_t orch_llm_blob_len(void);             /* bytes, at least 1 */

#endif
