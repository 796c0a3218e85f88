/*
 * onhost.h - does a path exist on the host? Asked about whatever an agent names, so a look must neither wait
 * for a filesystem that has stopped to answer (NFS, FUSE) nor make the host mount something (autofs).
 *
 * Paths on local filesystems are looked up at once. What lies on others is looked up by a child, for a second
 * at most; what autofs would have to mount is not looked up. Where that gives no answer, the path counts as
 * there: a denial too many on record rather than one too few. Not thread safe.
 */
#ifndef ORCH_SANDBOX_ONHOST_H
#define ORCH_SANDBOX_ONHOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct orch_host {
    int mounts; /* our /proc/self/mountinfo, -1 = not yet looked at */
    struct orch_host_mount {
        char *path;
        bool automount, hangs;  /* hangs: a look there did not come back */
        uint64_t not_before_ms; /* nobody asks it (orch_host_is_silent) */
    } * v;                      /* mounts that may let us wait */
    size_t n;
};

#define ORCH_HOST_UNSEEN                                                                                     \
    {                                                                                                        \
        .mounts = -1                                                                                         \
    }

void orch_host_fini(struct orch_host *h);
/* path: absolute, in normal form, as the host would see it; NULL is not there. */
bool orch_host_has(struct orch_host *h, const char *path);
/* Is the path on a filesystem that may let us wait, or is there one beneath it? True also if the mounts
 * cannot be had. */
bool orch_host_may_wait(struct orch_host *h, const char *path);
/* Did the filesystem that path lies on, by its text, not answer lately? To be told when it did not. */
#define ORCH_HOST_SILENT_MS 5000
bool orch_host_is_silent(const struct orch_host *h, const char *path);
void orch_host_was_silent(struct orch_host *h, const char *path);

#endif
