/* One thread of the process in libhdf5 at a time, silently. */
#include "hdf5_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* libhdf5 itself is one global object, so what guards it has to be one too. */
static pthread_mutex_t hdf5_lock = PTHREAD_MUTEX_INITIALIZER;

/* What libhdf5 does at the end of a process crashes or complains over files that were damaged. All that we
 * open is closed, so it has nothing to do; where the host used libhdf5 before, this changes nothing. */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void leave_out_the_end(void)
{
    (void)H5dont_atexit();
}

void um_h5_enter(um_h5_guard *guard)
{
    pthread_mutex_lock(&hdf5_lock);
    pthread_once(&once, leave_out_the_end);
    guard->handler = NULL;
    guard->handler_data = NULL;
    H5Eget_auto2(H5E_DEFAULT, &guard->handler, &guard->handler_data);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

void um_h5_leave(um_h5_guard *guard)
{
    H5Eset_auto2(H5E_DEFAULT, guard->handler, guard->handler_data);
    pthread_mutex_unlock(&hdf5_lock);
}

typedef struct reason {
    char *text;
    size_t size;
} reason;

static herr_t take_reason(unsigned n, const H5E_error2_t *error, void *user)
{
    (void)n;
    reason *r = user;
    if (error->desc != NULL && error->desc[0] != '\0') {
        static const char key[] = "error message = '";
        const char *system = strstr(error->desc, key);
        const char *from = system != NULL ? system + sizeof key - 1 : error->desc;
        size_t length = system != NULL ? strcspn(from, "'") : strlen(from);
        snprintf(r->text, r->size, "%.*s", (int)length, from);
    }
    return 0;
}

void um_h5_reason(char *text, size_t size)
{
    text[0] = '\0';
    reason r = {text, size};
    /* Downwards: the last entry visited is where the failure began. */
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, take_reason, &r);
}

static int descriptor(hid_t file)
{
    void *handle = NULL;
    return H5Fget_vfd_handle(file, H5P_DEFAULT, &handle) >= 0 && handle != NULL ? *(int *)handle : -1;
}

/* Lets the descriptor below the file lead to memory. */
static void divert(hid_t file)
{
    int memory = memfd_create("unmix", MFD_CLOEXEC);
    int disk = descriptor(file);
    if (memory >= 0 && disk >= 0) {
        (void)dup2(memory, disk);
    }
    if (memory >= 0) {
        close(memory);
    }
}

/* Whether the disk has room for what is still in memory; a file system that cannot tell is believed. */
static bool reserve(hid_t file, char *text, size_t size)
{
    const off_t margin = 1 << 16;
    hsize_t bytes = 0;
    int disk = descriptor(file);
    if (disk < 0 || H5Fget_filesize(file, &bytes) < 0 ||
        fallocate(disk, FALLOC_FL_KEEP_SIZE, 0, (off_t)bytes + margin) == 0 ||
        (errno != ENOSPC && errno != EDQUOT && errno != EFBIG)) {
        return true;
    }
    snprintf(text, size, "%s", strerror(errno));
    return false;
}

bool um_h5_end_writing(hid_t file, bool ok, char *text, size_t size)
{
    if (text[0] == '\0' && !ok) {
        um_h5_reason(text, size);
    }
    char full[128] = "";
    bool room = reserve(file, full, sizeof full);
    if (ok && room && H5Fflush(file, H5F_SCOPE_GLOBAL) >= 0) {
        return true;
    }
    if (!room) {
        snprintf(text, size, "%s", full);
    } else if (text[0] == '\0') {
        um_h5_reason(text, size);
    }
    divert(file);
    return false;
}
