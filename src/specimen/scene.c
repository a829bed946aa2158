#include "base_internal.h"
#include "unmix/scene.h"

#include <stdlib.h>

void um_scene_free(um_context *ctx, um_scene *scene)
{
    if (scene == NULL) {
        return;
    }
    void *buffers[] = {scene->pattern,       scene->start,    scene->which,        scene->weight,          scene->state,
                       scene->state_pattern, scene->fraction, scene->thickness_nm, scene->orientation_deg, scene->particle};
    for (size_t i = 0; i < sizeof buffers / sizeof buffers[0]; i++) {
        um_buffer_free(ctx, buffers[i]);
    }
    free(scene->parameters);
    free(scene);
}
