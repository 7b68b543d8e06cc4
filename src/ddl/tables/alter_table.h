/*
 * alter_table.h: which ALTER TABLE actions are possible on a table of the metadata.
 */
#pragma once

#include "civitas/pg/server.h"

CIVITAS_PG_BEGIN
#include "nodes/parsenodes.h"
CIVITAS_PG_END

namespace civitas::ddl {

/* 0A000 for what is not. */
void check_alter_table(Node *statement, List *tables);

/* What the statement made of the table must still be possible on it: unique indexes, foreign keys.
 * 0A000. */
void check_altered(Oid relid);

/* The table that an ALTER TABLE .. ATTACH PARTITION of a metadata table adds, if it is none yet:
 * InvalidOid otherwise. */
Oid partition_to_attach(Node *statement);

} // namespace civitas::ddl
