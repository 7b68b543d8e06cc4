/*
 * apply.h: one statement on this node: the shell and the shards beside it.
 */
#pragma once

#include "civitas/base/ids.h"
#include "civitas/pg/server.h"

CIVITAS_PG_BEGIN
#include "nodes/parsenodes.h"
CIVITAS_PG_END

namespace civitas::ddl {

/* Runs a statement's text on shell and local shards. chosen: names for the indexes and constraints
 * that the statement leaves unnamed, in their order in the statement, then values of new columns'
 * defaults (C strings). */
void apply_statement(const char *sql, List *chosen);

/* Drops the local shards of a table and its metadata, and its colocation group where it was the
 * last. */
void leave_metadata_here(Oid relid);
/* And its shell. */
void drop_table_here(Oid relid);

} // namespace civitas::ddl
