/* What a program outside the tree does first; tools/check-install.sh compiles and runs it. */
#include <stdio.h>
#include <string.h>
#include <unmix/unmix.h>

int main(void)
{
    um_context *ctx = NULL;
    if (um_context_create(&ctx) != UM_OK) {
        return 1;
    }
    um_context_set_threads(ctx, 2);
    int wrong = um_context_threads(ctx) != 2 || strlen(um_version()) < 5;
    printf("unmix %s, %s\n", um_version(), um_build_description(ctx));
    um_context_free(ctx);
    return wrong;
}
