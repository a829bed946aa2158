/* unmix convert: any readable format into another, streaming. */
#include "store.h"

static const cli_option options[] = {
    {.name = "dtype", .kind = CLI_TEXT, .value = "TYPE",
     .help = "Type of the values: u8, u16, u32, i8, i16, i32, f32, f64. Values that do not fit "
             "are set to the limit and counted."},
    {.name = "compression", .kind = CLI_CHOICE, .value = "none|gzip|lz4|blosc|bitshuffle",
     .help = "Compression of .hspy files; default: that of the writer."},
    {0}};

static um_status convert(cli *c, cli_scan *scan, const cli_store_options *store)
{
    um_status status = cli_scan_prepare(c, c->operand[0], scan);
    cli_stored stored = {0};
    if (status == UM_OK) {
        status = cli_store(c, scan, store, &stored);
    }
    if (status != UM_OK) {
        return status;
    }
    const um_matrix_info *info = um_matrix_get_info(scan->matrix);
    double seconds = cli_seconds() - c->started;
    if (c->json) {
        return cli_print_json(
            c,
            json_pack("{s:o, s:o, s:s, s:I, s:I, s:I, s:f, s:I}", "path",
                      cli_json_text(store->path), "shape", cli_json_shape(info->shape), "dtype",
                      um_dtype_name(stored.dtype), "bytes", (json_int_t)stored.bytes, "clipped",
                      (json_int_t)stored.clipped, "not_a_number", (json_int_t)stored.not_a_number,
                      "seconds", seconds, "peak_bytes", (json_int_t)cli_peak_bytes()));
    }
    char size[32];
    char time[32];
    cli_say(c, "%s: %lld x %lld positions of %lld x %lld pixels, %s, %s, in %s", store->path,
            (long long)info->shape.ny, (long long)info->shape.nx, (long long)info->shape.ky,
            (long long)info->shape.kx, um_dtype_name(stored.dtype),
            cli_bytes_text((double)stored.bytes, size), cli_seconds_text(seconds, time));
    return UM_OK;
}

static um_status run(cli *c)
{
    cli_store_options store = {.path = c->operand[1], .compression = cli_text(c, "compression")};
    const char *dtype = cli_text(c, "dtype");
    if (dtype != NULL && !um_dtype_parse(dtype, &store.dtype)) {
        return cli_fail(c, UM_ERROR_ARGUMENT,
                        "--dtype takes u8, u16, u32, i8, i16, i32, f32 or f64, not '%s'", dtype);
    }
    store.convert = dtype != NULL;
    if (store.compression != NULL && !cli_has_suffix(store.path, ".hspy")) {
        return cli_fail(c, UM_ERROR_ARGUMENT, "--compression is for .hspy files, not %s",
                        store.path);
    }
    um_status status = cli_check_output(c, store.path, CLI_SCAN_SUFFIXES);
    cli_scan scan = {0};
    if (status == UM_OK) {
        status = convert(c, &scan, &store);
    }
    cli_scan_close(&scan);
    return status;
}

const cli_command cli_command_convert = {
    .name = "convert",
    .summary = "write a scan in another format",
    .operands = "IN OUT",
    .description =
        "Reads a scan in any format that unmix knows and writes it by the suffix of OUT: .hspy "
        "keeps calibration and metadata; .npy is a plain 4-D array; .blo is a blockfile of square u8 patterns; .npz "
        "holds the array as `data`; .tif is a stack of 32-bit patterns. .hspy, .npy and .blo are streamed and may be of "
        "any size.\n\n"
        "The preparation options crop, bin and clean on the way. Integers stay integers; --dtype "
        "changes the type, and values that do not fit are set to its limit, never wrapped around. "
        "Positions that are excluded are stored as 0.",
    .examples = "unmix convert scan.mib scan.hspy --scan 256x256 # give a Merlin stack its shape\n"
                "unmix convert scan.hspy small.npy --bin-signal 2 --dtype u16 # bin the detector\n",
    .options = options,
    .least_operands = 2,
    .most_operands = 2,
    .reads = CLI_READS_SCAN,
    .run = run,
};
