/*
 * partition_indexes.h: indexes of partitions' shards carry the names of the shell's.
 */
#pragma once

#include "civitas/pg/server.h"

namespace civitas::ddl {

/*
 * Gives the indexes that a statement about the partitioned table `relid` made on the shards of its
 * partitions, on this node, the names that indexes of shards have. To be called after the statement
 * has run on the shell and on the shards; does nothing for any other table.
 */
void name_partition_indexes(Oid relid);

} // namespace civitas::ddl
