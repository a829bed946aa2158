#include "io_internal.h"

#include <stdlib.h>
#include <string.h>

json_t *um_json_latin1(const char *text, size_t count)
{
    char *utf8 = malloc(2 * count + 1);
    size_t n = 0;
    if (utf8 == NULL) {
        return json_string("");
    }
    while (count > 0 && (unsigned char)text[count - 1] <= ' ') {
        count--;
    }
    for (size_t i = 0; i < count; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte == '\r') {
            continue;
        }
        if (byte >= 0x80) {
            utf8[n++] = (char)(0xc0 | byte >> 6);
            utf8[n++] = (char)(0x80 | (byte & 0x3f));
        } else {
            utf8[n++] = byte >= ' ' || byte == '\n' ? (char)byte : ' ';
        }
    }
    json_t *result = json_stringn(utf8, n);
    free(utf8);
    return result;
}
