/* One thread of the process in libhdf5 at a time, silently. */
#include "hdf5_internal.h"

#include <pthread.h>
#include <string.h>

/* libhdf5 itself is one global object, so what guards it has to be one too. */
static pthread_mutex_t hdf5_lock = PTHREAD_MUTEX_INITIALIZER;

void um_h5_enter(um_h5_guard *guard)
{
    pthread_mutex_lock(&hdf5_lock);
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
        snprintf(r->text, r->size, "%s", error->desc);
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
