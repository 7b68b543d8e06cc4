/*
 * sql_text.h: catalog queries whose answer is text.
 *
 * The catalogs' own functions (pg_get_indexdef, format_type, ...) qualify what is not on the search
 * path, so these queries run with search_path = pg_catalog: the texts mean the same everywhere.
 */
#pragma once

#include "civitas/pg/server.h"

namespace civitas::pg {

/* First column of every row as a C string (rows with NULL are left out), in CurrentMemoryContext.
 * Sees this transaction's changes. */
List *sql_texts(const char *sql);
/* Same for a query that only reads; sees what is committed now, whatever the isolation level is. */
List *sql_texts_latest(const char *sql);
/* First column of the first row; null where there is none or it is NULL. */
char *sql_text(const char *sql);
/* Runs statements that return nothing of interest, with search_path = pg_catalog. */
void sql_run(const char *sql);

/* Called before each of these queries: what it sets for the nesting level of settings that it is
 * called at lasts as long as the query. */
extern void (*own_query_hook)();

} // namespace civitas::pg
