/*
 * probe_blob.h - what `policy test` runs inside sandboxes (supervisor/client/probe.c) as bytes in this
 * program. Constant, not NUL-terminated; as client_blob.h.
 */
#ifndef ORCH_SUPERVISOR_PROBE_BLOB_H
#define ORCH_SUPERVISOR_PROBE_BLOB_H

#include <stddef.h>

extern const unsigned char orch_probe_blob[]; /* a static ELF program */
size_t orch_probe_blob_len(void);             /* bytes, at least 1 */

#endif
