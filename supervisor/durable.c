/* durable.c - power-loss order of an attempt: the layer before its verdict. See attempt.h. */
#include <fcntl.h>
#include <string.h>

#include "common/exit.h"
#include "common/io.h"
#include "supervisor/attempt.h"

/* A directory that was made is on disk once the one above it is synced, so all on the way are. */
int orch_attempt_durable(const struct orch_attempt *a, const char *upper, struct orch_err *err)
{
    ORCH_AUTO_FREE char *up = orch_xstrdup(upper);
    int r = orch_layer_sync(upper);

    while (r == 0 && strlen(up) > strlen(a->run->dir.path)) {
        *strrchr(up, '/') = '\0';
        r = orch_fsync_dir(AT_FDCWD, up);
    }
    if (r < 0)
        return orch_err_exit(err, ORCH_EXIT_STATE, -r, "the layer of %s cannot be written to disk: %s",
                             a->name, strerror(-r));
    return 0;
}
