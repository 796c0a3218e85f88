/*
 * glob.h - path patterns. `*` matches within a component (dotfiles too), `?` one byte but '/', `[...]` a byte
 * class
 * ([!...] negates), `**` as a whole component matches any number of components (also none), case matters, `\`
 * quotes. Matching takes time bounded by pattern length times path length: no pattern of an author or path of
 * an agent makes it blow up.
 */
#ifndef ORCH_COMMON_GLOB_H
#define ORCH_COMMON_GLOB_H

#include "common/util.h"

/* NULL if the pattern is usable, else a static sentence saying why not (empty, absolute, "..", "**" glued,
 * open class). */
const char *orch_glob_check(const char *pattern);
/* path: relative, no leading "./". */
bool orch_glob_match(const char *pattern, const char *path);
/* Any of the list matches; false for an empty list. */
bool orch_glob_match_any(const struct orch_strv *patterns, const char *path);

#endif
