/* Merlin .mib: what its files share. A frame is an ASCII header of fixed size and an image, big-endian. */
#ifndef UM_MIB_INTERNAL_H
#define UM_MIB_INTERNAL_H

#include "io_internal.h"

enum { UM_MIB_MAX_HEADER = 65536, UM_MIB_MAX_FILES = 4096 };

/* One frame header. Fields after the thirteenth may be empty, so the tail is found by its name. */
typedef struct um_mib_header {
    int64_t sequence;
    int64_t size; /* bytes of the header */
    int chips;
    int64_t width, height; /* as stored */
    char kind;             /* 'U' processed, 'R' raw */
    int bits;              /* of the pixel type: 8, 16, 32, 64 */
    char layout[16];
    char local_time[40], utc_time[40];
    double shutter_s;    /* field 10; negative = not given */
    double exposure_ns;  /* field after MQ1A's time; negative = not given */
    int depth;           /* counter depth 1, 6, 12, 24; 0 = not given */
    double thresholds[8];
    int thresholds_given;
} um_mib_header;

/* Parses `count` bytes that should hold the whole header. False if they are no such header. */
bool um_mib_header_parse(const char *bytes, size_t count, um_mib_header *out);
/* Seconds of the day-independent time stamp ("2021-05-07T16:51:10.905800928Z" or with a blank), from
 * midnight of an arbitrary day number; false if it is none. */
bool um_mib_time_parse(const char *text, double *days, double *seconds);

/* How frames are stored and what a pattern becomes. */
typedef struct um_mib_layout {
    int64_t header;      /* bytes in front of each image */
    int64_t image;       /* bytes of an image */
    int64_t ky, kx;      /* of the pattern delivered */
    int64_t raw_width;   /* pixels of a stored row; 0 for processed frames */
    int64_t raw_height;
    int depth;           /* raw counter depth */
    bool quad;
    um_dtype dtype;
} um_mib_layout;
um_status um_mib_layout_find(um_context *ctx, const char *path, const um_mib_header *header,
                             um_mib_layout *out);
/* Decodes one stored raw image into ky*kx values of layout->dtype. `row` is room for 2 * raw_width
 * u16. */
void um_mib_raw_decode(const um_mib_layout *layout, const unsigned char *image, void *row,
                       void *dst);

/* One file of a series. */
typedef struct um_mib_file {
    char *path;
    um_file *file;
    int64_t sequence, frames, first; /* `first` frame of this file within the series */
} um_mib_file;

typedef struct um_mib {
    um_mib_layout layout;
    um_mib_file *files;
    int count;
    int64_t frames;
    int64_t skip; /* frames before the first position */
} um_mib;

/* Opens `path` and, if asked for, the files that continue it or that it continues, ordered by sequence number. */
um_status um_mib_series_open(um_source *source, const char *path, const um_mib_header *header,
                             bool others, um_mib *mib);
void um_mib_series_close(um_mib *mib);
/* Reads the header of a frame of the series. */
um_status um_mib_frame_header(um_context *ctx, const um_mib *mib, int64_t frame,
                              um_mib_header *out);

/* The .hdr beside the file, as an object of its lines; NULL if there is none. */
json_t *um_mib_side_read(const char *path);

/* Scan shape as FORMATS lists it: side file, time stamps, exposures, square, stack. `how` tells which. */
typedef struct um_mib_scan {
    int64_t ny, nx, skip;
    const char *how;
} um_mib_scan;
um_status um_mib_scan_find(um_context *ctx, const um_mib *mib, const json_t *side,
                           um_mib_scan *out);

#endif
