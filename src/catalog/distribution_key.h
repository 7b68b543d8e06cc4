/*
 * distribution_key.h: pg_dist_partition.partkey: the distribution column as the text of a Var.
 *
 * Apart from the rest because PostgreSQL's node macros and catalog::Node cannot share a file.
 */
#pragma once

#include "civitas/pg/server.h"

CIVITAS_PG_BEGIN
#include "access/attnum.h"
CIVITAS_PG_END

namespace civitas::catalog {

/* Text for a column of a table. */
char *distribution_key(Oid relid, AttrNumber attno);
/* The column that such a text names; 22023 when it is something else. */
AttrNumber column_of_distribution_key(const char *key);
/* Likewise; InvalidAttrNumber. */
AttrNumber find_column_of_distribution_key(const char *key);

} // namespace civitas::catalog
