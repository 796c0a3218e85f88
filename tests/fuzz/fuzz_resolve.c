/* Where a path leads, on any tree and text: what the supervisor says is what the kernel did
 * (resolve_check.h). */
#include "tests/unit/sandbox/resolve_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[] = "/tmp/orch-fuzz-resolve-XXXXXX";
static struct checker checker;
static unsigned descriptors;

static void end(void)
{
    checker_end(&checker);
    (void)orch_rm_rf(AT_FDCWD, dir);
}

/* Those that only name something: libFuzzer opens others, for its symbolizer. */
static unsigned open_descriptors(void)
{
    unsigned n = 0;

    for (int fd = 0; fd < 256; fd++) {
        int flags = fcntl(fd, F_GETFL);

        n += flags >= 0 && (flags & O_PATH);
    }
    return n;
}

static bool begin(void)
{
    char host[64];

    if (!mkdtemp(dir))
        abort();
    (void)snprintf(host, sizeof(host), "%s/host", dir);
    if (mkdir(host, 0755) < 0)
        abort();
    if (!checker_start(&checker, dir)) {
        (void)fprintf(stderr, "needs userns\n");
        (void)orch_rm_rf(AT_FDCWD, dir);
        return false;
    }
    descriptors = open_descriptors();
    return atexit(end) == 0;
}

/* The first bytes choose the tree, the rest what is asked in it: dice are bytes until they end. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct order o;
    static bool tried, works;

    if (!tried)
        works = begin();
    tried = true;
    if (!works || size == 0 || size > sizeof(o.bytes))
        return 0;
    o = (struct order){.queries = 40, .n = (unsigned)size};
    memcpy(o.bytes, data, size);
    if (!check_order(&checker, &o)) {
        (void)fprintf(stderr, "the task is gone\n");
        abort();
    }
    (void)fflush(stdout);
    if (checker.wrong > 0 || open_descriptors() != descriptors) {
        (void)fprintf(stderr, "%u wrong, %u descriptors, %u before\n", checker.wrong, open_descriptors(),
                      descriptors);
        abort();
    }
    return 0;
}
