/*
 * metadata_sql.h: metadata rows as SQL for another node.
 *
 * The coordinator is the one writer. Rows that it wrote locally (catalog/writes.h) are sent to the
 * other active nodes inside the same distributed transaction as calls of internal functions, which
 * check that the caller owns the table.
 */
#pragma once

#include "civitas/base/ids.h"
#include "civitas/pg/server.h"

namespace civitas::catalog {

/* SQL that, run on another node, makes its rows for this table (partition, shards, placements,
 * colocation) what they are here; the shell must exist there. In CurrentMemoryContext. */
char *table_metadata_sql(Oid relid);
/* Deletes the table's rows there; must run before the shell is dropped. */
char *delete_table_metadata_sql(Oid relid);

} // namespace civitas::catalog
