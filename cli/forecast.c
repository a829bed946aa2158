#include "forecast.h"

int64_t cli_forecast_resident(const cli *c, size_t peak)
{
    size_t held = um_context_memory_in_use(c->ctx);
    return cli_resident_bytes() + (int64_t)(peak > held ? peak - held : 0);
}

um_status cli_tell_plan(cli *c, const cli_scan *scan, int64_t k, size_t least, int64_t planned)
{
    const um_source_info *info = um_source_get_info(scan->source);
    double stored = (double)(info->shape.ny * info->shape.nx * info->shape.ky * info->shape.kx) *
                    (double)um_dtype_size(info->dtype);
    double budget = (double)um_context_memory(c->ctx);
    if (c->json) {
        return cli_print_json(c, json_pack("{s:I, s:I, s:I, s:f, s:f}", "k", (json_int_t)k, "least_bytes",
                                           (json_int_t)least, "planned_bytes", (json_int_t)planned,
                                           "budget_bytes", budget, "bytes_per_read", stored));
    }
    char text[4][32];
    cli_say(c, "components     %lld", (long long)k);
    cli_say(c, "peak memory    %s, patterns kept in memory included; --memory allows buffers of %s",
            cli_bytes_text((double)planned, text[0]), cli_bytes_text(budget, text[1]));
    cli_say(c, "at the least   --memory %lldM: with fewer workers, patterns read again for each pass",
            (long long)(least / 1000000 + 1));
    cli_say(c, "one read       %s of patterns; unmix info tells how long that takes",
            cli_bytes_text(stored, text[2]));
    return UM_OK;
}
