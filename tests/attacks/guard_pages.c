/* Preloaded into a fuzzing process: every tensor lies against a page that may not be touched, and stays
 * untouchable once it is freed. So a kernel that leaves its tensors dies at once, by one element or by a million. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE 4096UL
#define ARENA (1UL << 42)
#define LARGEST (1UL << 29)

static char *arena;
static _Atomic uint64_t used;
static void (*libc_free)(void *);

__attribute__((constructor)) static void reserve(void) {
    libc_free = (void (*)(void *))dlsym(RTLD_NEXT, "free");
    arena = mmap(NULL, ARENA, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (arena == MAP_FAILED) abort();
}

/* The first page of a block holds its length; it is kept readable by the owner only through this table. */
static uint64_t *length_of(char *first_page) { return (uint64_t *)first_page; }

int posix_memalign(void **out, size_t alignment, size_t size) {
    if (size > LARGEST || alignment > PAGE || arena == NULL) return ENOMEM;
    uint64_t pages = (size + PAGE - 1) / PAGE;
    uint64_t span = (pages + 3) * PAGE; /* length, guard, data, guard */
    uint64_t start = __atomic_fetch_add(&used, span, __ATOMIC_RELAXED);
    if (start + span > ARENA) return ENOMEM;
    char *head = arena + start, *data = head + 2 * PAGE;
    if (mprotect(head, PAGE, PROT_READ | PROT_WRITE)) return ENOMEM;
    *length_of(head) = pages;
    if (pages && mprotect(data, pages * PAGE, PROT_READ | PROT_WRITE)) return ENOMEM;
    memset(data, 0xCB, pages * PAGE);
    /* one block in four against the front guard, the others against the back */
    uint64_t slack = (pages * PAGE - size) / alignment * alignment;
    *out = data + ((start / PAGE) % 4 == 0 ? 0 : slack);
    return 0;
}

void free(void *pointer) {
    char *at = pointer;
    if (arena == NULL || at < arena || at >= arena + ARENA) {
        if (libc_free) libc_free(pointer);
        return;
    }
    /* the data page before which the guard lies: walk back page by page to the head, which records a length */
    char *page = arena + ((uint64_t)(at - arena) / PAGE) * PAGE;
    char *head = page - 2 * PAGE;
    uint64_t pages = *length_of(head);
    mprotect(head, (pages + 3) * PAGE, PROT_NONE);
    madvise(head, (pages + 3) * PAGE, MADV_DONTNEED);
}
