/* Recipes: the bytes as an INI file, and as key and value of one option (key ends at the first '='). */
#include "fuzz_file.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[512];
    size_t length = strnlen((const char *)data, size < sizeof text - 1 ? size : sizeof text - 1);
    memcpy(text, data, length);
    text[length] = '\0';
    um_context *ctx = fuzz_context();
    um_recipe *recipe = NULL;
    um_status status = um_recipe_create(ctx, &recipe);
    if (status == UM_OK) {
        status = um_recipe_read(recipe, fuzz_file("recipe.ini", data, size));
        fuzz_need_message(ctx, status, "um_recipe_read");
        char *value = strchr(text, '=');
        if (value != NULL) {
            *value = '\0';
            status = um_recipe_set(recipe, text, value + 1);
            fuzz_need_message(ctx, status, "um_recipe_set");
        }
        (void)um_recipe_text(recipe);
    }
    um_recipe_free(recipe);
    um_aperture aperture;
    status = um_aperture_parse(ctx, text, &aperture);
    fuzz_need_message(ctx, status, "um_aperture_parse");
    um_context_free(ctx);
    return 0;
}
