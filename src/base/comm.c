/* One process is a group of one: nothing to add up, nobody to tell. */
#include "context_internal.h"

static um_status keep_f64(const um_comm *comm, double *values, size_t count)
{
    (void)comm;
    (void)values;
    (void)count;
    return UM_OK;
}

static um_status keep_bytes(const um_comm *comm, void *bytes, size_t count, int root)
{
    (void)comm;
    (void)bytes;
    (void)count;
    (void)root;
    return UM_OK;
}

void um_comm_serial(um_comm *comm)
{
    *comm = (um_comm){
        .rank = 0, .size = 1, .sum_f64 = keep_f64, .max_f64 = keep_f64, .broadcast = keep_bytes};
}
