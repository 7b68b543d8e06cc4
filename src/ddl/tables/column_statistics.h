/*
 * column_statistics.h: statistics of a distributed table's columns, for the planner.
 */
#pragma once

#include "civitas/pg/server.h"

CIVITAS_PG_BEGIN
#include "nodes/pg_list.h"
#include "utils/rel.h"
CIVITAS_PG_END

namespace civitas::ddl {

/*
 * Reads a sample of the table's rows from its shards and stores what it says of the columns as the
 * shell's statistics on this node. `names`: columns as String nodes, NIL for all; `total_rows`:
 * rows of the whole table. The caller holds a lock on the table that ANALYZE would. Does nothing
 * where the current user may not read the table.
 */
void update_column_statistics(Relation relation, List *names, double total_rows);

} // namespace civitas::ddl
