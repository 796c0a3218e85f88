/* cppcheck.h - what cppcheck must know of headers it does not read. Included by `make cppcheck` alone. */
#ifndef cJSON_ArrayForEach
#define cJSON_ArrayForEach(element, array)                                                                   \
    for (element = (array) ? (array)->child : 0; element; element = element->next)
#endif
