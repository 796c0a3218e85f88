/*
 * profile_places.c - where each key of an effective profile is written: what errors about two documents and
 * whoever shows a profile name.
 */
#include <string.h>
#include "policy/profile_int.h"

static char *copy_str(const char *s)
{
    return s != NULL ? orch_xstrdup(s) : NULL;
}

static struct orch_key_place *add(struct orch_profile *p, char *key)
{
    p->places = orch_xreallocarray(p->places, p->n_places + 1, sizeof(*p->places));
    p->places[p->n_places] = (struct orch_key_place){.key = key};
    return &p->places[p->n_places++];
}

/* Takes key. */
static void add_node(struct orch_profile *p, const struct orch_prof_doc *doc, const cJSON *node, char *key)
{
    struct orch_key_place *k = add(p, key);
    k->file = orch_xstrdup(doc->file);
    k->pointer = orch_json_pointer(doc->json, node);
    orch_json_pos(doc->json, node, &k->line, &k->col);
}

/* The strings of a list by name, its objects by origin ("FILE#POINTER"). */
static void add_elements(struct orch_profile *p, const struct orch_prof_doc *doc, const cJSON *list,
                         const char *key)
{
    struct orch_rd rd = {.doc = doc->json};
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        if (cJSON_IsString(item))
            add_node(p, doc, item, orch_xasprintf("%s/%s", key, item->valuestring));
        else
            add_node(p, doc, item, orch_prof_origin(&rd, item));
    }
}

static void add_section(struct orch_profile *p, const struct orch_prof_doc *doc, const cJSON *section)
{
    const cJSON *node;
    cJSON_ArrayForEach(node, section)
    {
        char *key = orch_xasprintf("%s.%s", section->string, node->string);
        if (cJSON_IsArray(node))
            add_elements(p, doc, node, key);
        const cJSON *item = cJSON_IsObject(node) ? node->child : NULL;
        for (; item != NULL; item = item->next)
            add_node(p, doc, item, orch_xasprintf("%s/%s", key, item->string));
        add_node(p, doc, node, key);
    }
}

void orch_prof_add_places(struct orch_profile *eff, const struct orch_profile *parent,
                          const struct orch_prof_doc *doc)
{
    for (size_t i = 0; i < parent->n_places; i++) {
        const struct orch_key_place *from = &parent->places[i];
        struct orch_key_place *k = add(eff, orch_xstrdup(from->key));
        k->file = copy_str(from->file);
        k->pointer = copy_str(from->pointer);
        k->line = from->line;
        k->col = from->col;
    }
    const cJSON *node;
    cJSON_ArrayForEach(node, orch_json_root(doc->json))
    {
        if (cJSON_IsObject(node))
            add_section(eff, doc, node);
        else if (cJSON_IsArray(node))
            add_elements(eff, doc, node, node->string);
        add_node(eff, doc, node, orch_xstrdup(node->string));
    }
}

void orch_prof_places_fini(struct orch_profile *p)
{
    for (size_t i = 0; i < p->n_places; i++) {
        free(p->places[i].key);
        free(p->places[i].file);
        free(p->places[i].pointer);
    }
    free(p->places);
    p->places = NULL;
    p->n_places = 0;
}
