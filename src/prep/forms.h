/* How a group of prepared patterns is held in memory: as it is, narrower, two counts a byte, or only what is
 * not zero. Every form gives back the same bits. */
#ifndef UM_FORMS_H
#define UM_FORMS_H

#include "pixels.h"

typedef enum um_form {
    UM_FORM_NONE,   /* not held */
    UM_FORM_RAW,    /* as prepared */
    UM_FORM_NARROW, /* whole numbers in one or two bytes */
    UM_FORM_PACKED, /* two values up to 14 a byte, the others in a list */
    UM_FORM_SPARSE, /* um_sparse_rows */
    UM_FORM_COUNT
} um_form;

/* What decides the form of a group. */
typedef struct um_form_facts {
    size_t values, nonzero, large; /* large: above UM_PACKED_MOST */
    uint32_t most;
    bool whole; /* all are whole numbers from 0 to 65535, bit for bit */
} um_form_facts;
enum { UM_PACKED_MOST = 14, UM_SPARSE_COLUMNS = 65536 };

void um_form_measure(const um_pixel_kernels *kernels, um_dtype dtype, const void *data,
                     size_t values, um_form_facts *facts);
/* Bytes of `rows` patterns in a form; SIZE_MAX where the form cannot hold them. */
size_t um_form_size(um_form form, um_dtype dtype, size_t rows, const um_form_facts *facts);
/* `to` has um_form_size() bytes, 8-byte aligned. */
void um_form_encode(const um_pixel_kernels *kernels, um_form form, um_dtype dtype, const void *data,
                    size_t rows, const um_form_facts *facts, void *to);
void um_form_decode(um_form form, um_dtype dtype, const void *from, size_t rows, size_t values,
                    void *data);
/* The rows of an encoded UM_FORM_SPARSE, in place. */
um_sparse_rows um_form_rows(const void *from, size_t rows);

#endif
