/*
 * query_template.h: a Query as text with holes for shard names.
 */
#pragma once

#include "civitas/pg/server.h"

CIVITAS_PG_BEGIN
#include "nodes/parsenodes.h"
CIVITAS_PG_END

namespace civitas::deparse {

struct QueryTemplate
{
	List *pieces; /* String nodes, one more than holes */
	List *holes;  /* oid list: the table whose shard name belongs there, InvalidOid = VALUES rows */
};
CIVITAS_SERVER_STATE(QueryTemplate);

/* Whether a relation's name in a statement stands for shards: a table of the metadata, also a local
 * one (its rows are in a shard too). */
bool is_sharded(Oid relid);
/* Whether the range table entry is a table of that kind, asked for as a table (and not ON
 * CONFLICT's "excluded"). */
bool is_sharded_rte(const RangeTblEntry *rte);
/* Whether an expression assigns to a part (element, field) of a value: at the top of a SET or
 * INSERT column it has SQL, elsewhere it has none. */
bool assigns_parts(Node *node);
/* Whether a statement, at any of its levels, does so where that has no SQL. */
bool assigns_unprintably(Query *query);
/* Range table indexes that a jointree (or a part of one) refers to, not looking into sublinks. */
Bitmapset *range_table_references(Node *jointree);
/* Those of them whose columns an outer join may make NULL. */
Bitmapset *nullable_relations(Node *jointree);

/*
 * Parameters numbered from here mark the VALUES list of an INSERT: the list that holds them becomes
 * one hole. Real parameters are far below.
 */
inline constexpr int VALUES_MARKER = 60001;

/* How citus_internal.shell_oid() is told tables: schema and name as one text that no setting of
 * either node (quote_all_identifiers) changes. */
char *shell_name(const char *schema, const char *name);
/* citus_internal.row_left(): the one function that is given the tableoid of the shard itself. */
Oid row_left_function();

/*
 * Deparses a rewritten Query that PostgreSQL could parse again. The query is scribbled on. Names in
 * the text are qualified: it means the same under any search_path. In CurrentMemoryContext.
 */
QueryTemplate make_query_template(Query *query);

} // namespace civitas::deparse
