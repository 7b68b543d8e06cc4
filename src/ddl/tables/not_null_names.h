/*
 * not_null_names.h: NOT NULL constraints of shards carry the names of the shell's.
 */
#pragma once

#include "civitas/pg/server.h"

namespace civitas::ddl {

/*
 * Gives the NOT NULL constraints of the shards that this node has of the table, and of its
 * partitions, the names that the shells' have. To be called after an ALTER TABLE has run on both.
 */
void name_not_null_constraints(Oid relid);

} // namespace civitas::ddl
