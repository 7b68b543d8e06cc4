/*
 * table_definition.h: SQL that recreates a table from the catalogs.
 *
 * Used for table shells on other nodes (as they are here) and for shards (under shard names,
 * without what only the shell needs). Statements are schema-qualified and quoted and do not depend
 * on search_path. Lists hold C strings in CurrentMemoryContext.
 */
#pragma once

#include "civitas/base/ids.h"
#include "civitas/pg/server.h"

namespace civitas::deparse {

/* What a shell on another node needs, in order: sequences, CREATE TABLE with defaults, identity and
 * generated columns, storage, CHECK constraints, partition key; indexes, primary key, unique and
 * exclusion constraints, replica identity, statistics objects, comments, owner, grants. Without
 * foreign keys (see below) and ATTACH PARTITION. */
List *shell_commands(Oid relid);
/* What a shard of the table needs, still under the table's and its indexes' own names: like
 * shell_commands() without sequences, identity and nextval() defaults, and comments. */
List *shard_commands(Oid relid);
/* The two halves of shard_commands(): all but the indexes (and constraints that rest on them),
 * statistics objects and CHECK constraints that are NOT VALID; and those, to be made when the rows
 * are there. */
List *shard_table_commands(Oid relid);
List *shard_index_commands(Oid relid);
/* GRANT that lets roles with the right to insert some columns insert the columns with defaults too,
 * on shards; null where there is no such role or column. shard_commands() ends with it. */
char *default_column_grant(Oid relid);
/* ALTER TABLE .. ADD CONSTRAINT for the table's own foreign keys; run when all tables exist. */
List *foreign_key_commands(Oid relid);
/* What another node's shell lacks of columns (C strings) that take their values from sequences: these, and
 * the defaults. */
List *sequence_column_commands(Oid relid, List *columns);
/* What of a shard takes effect when its rows are there: triggers, policies that bind the owner. */
List *shard_guard_commands(Oid relid);
/* ALTER TABLE parent ATTACH PARTITION relid ..; null for a table that is no partition. */
char *attach_partition_command(Oid relid);

} // namespace civitas::deparse
