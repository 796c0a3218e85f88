/*
 * cell.h - tier nested: the directory that an agent works in, where tier full has a view. It holds upper, the
 * copy of the workspace, and what sandbox/nested.c adds. As root it lies in a directory for temporary files,
 * because nothing else could show a directory of root's own to the agent's user.
 */
#ifndef ORCH_SANDBOX_CELL_H
#define ORCH_SANDBOX_CELL_H

#include "sandbox/layer.h"

#define ORCH_CELL_ROOT "/tmp"

struct orch_cell {
    char *dir, *copy; /* copy lies in dir */
    bool elsewhere;   /* dir is not the layer directory, and goes with the cell */
    int held;         /* then: dir, locked as long as its supervisor lives */
};

#define ORCH_CELL_NONE ((struct orch_cell){.held = -1})

/* As root: can the agent's user get to what the plan shows? Nothing else could bring it there. -EACCES + err
 * with exit code 3. */
int orch_cell_reaches(const struct orch_plan *plan, struct orch_err *err);
/* The cell for a layer directory that holds an empty upper, filled with the view. As root it first removes
 * cells that a killed supervisor left. */
int orch_cell_enter(const char *layer_dir, const struct orch_view *v, struct orch_cell *ret,
                    struct orch_err *err);
/* The tree is dead: turns the copy into an upper directory; to: NULL, or where it goes. */
int orch_cell_leave(const struct orch_cell *c, const struct orch_strv *below, const char *workspace,
                    const char *to, struct orch_err *err);
/* Removes what is in it beside the copy, or all of it where it lies elsewhere. */
void orch_cell_fini(struct orch_cell *c);

#endif
