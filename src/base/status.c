#include "base_internal.h"

const char *um_status_name(um_status status)
{
    switch (status) {
#define UM_STATUS_CASE(name, sentence)                                                             \
    case name:                                                                                     \
        return #name;
        UM_STATUS_LIST(UM_STATUS_CASE)
#undef UM_STATUS_CASE
    }
    return "UM_STATUS_UNKNOWN";
}

const char *um_status_sentence(um_status status)
{
    switch (status) {
#define UM_STATUS_CASE(name, sentence)                                                             \
    case name:                                                                                     \
        return sentence;
        UM_STATUS_LIST(UM_STATUS_CASE)
#undef UM_STATUS_CASE
    }
    return "unknown status";
}
