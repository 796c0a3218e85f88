/* fuzz_elf.c - any bytes through the ELF reader: it must return, within its caps, and leave nothing behind.
 */
#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include "policy/elf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    if (fd < 0)
        fd = memfd_create("elf", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, 0) < 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
        return 0;
    struct orch_elf e;
    int r = orch_elf_read(fd, &e);
    assert(r == 0 || r == -ENOEXEC || r == -EBADMSG);
    assert(r == 0 || (!e.interp && !e.rpath && !e.runpath && e.needed.n == 0));
    for (size_t i = 0; i < e.needed.n; i++)
        assert(strlen(e.needed.v[i]) < 4096);
    orch_elf_fini(&e);
    return 0;
}
