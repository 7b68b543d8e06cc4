/*
 * table_checks.h: may this table become a table of the metadata?
 *
 * Each check raises before anything was changed.
 */
#pragma once

#include "civitas/catalog/tables.h"

CIVITAS_PG_BEGIN
#include "storage/lockdefs.h"
CIVITAS_PG_END

namespace civitas::ddl {

/* Locks the table and makes sure that it is there, an ordinary or partitioned
 * permanent table, not part of the system, and the caller's. 42P01, 42501, 42809, 0A000. */
void open_for_distribution(Oid relid, LOCKMODE lock = AccessExclusiveLock);

/* What no table of the metadata may have: inheritance, rules, triggers, row security, an extension
 * as owner, publications and subscriptions. 0A000. 42P16 where the table is in the metadata already. is_partition: the parent is
 * being distributed, so a partition is fine. */
void check_distributable(Oid relid, bool is_partition);

/*
 * Partitions and inheritance children of tables of the metadata. What has no place among the shards
 * is refused, 0A000: any child that is no partition, foreign tables, tables of the metadata that
 * are spread in another way than the partitioned table.
 */
void check_kind_of_child(Oid child, Oid parent);
/* To be attached: plain, or spread like the parent. */
void check_partition(Oid partition, const catalog::Table& parent);
[[noreturn]] void refuse_child(Oid child, Oid parent, const char *detail, const char *hint);
/* A table of the metadata as a child of a plain one. */
[[noreturn]] void refuse_plain_parent(Oid child);

/* The distribution column: 42703 where it doesn't exist, 0A000 where it is generated, 42704 where
 * its type has no hash operator class. */
struct DistributionColumn
{
	AttrNumber attno;
	Oid type;
	Oid collation;
};
DistributionColumn check_distribution_column(Oid relid, const char *name);

/* Expressions of the table that mean something else on shards: tableoid in CHECK constraints and
 * generated columns; functions of the table's row type there and in indexes. 0A000. */
void check_expressions(Oid relid);
/* An index whose definition cannot be given to shards as text. */
void refuse_whole_rows(Oid index);

/* Primary key, unique and exclusion constraints and unique indexes hold the distribution column.
 * 0A000. */
void check_unique_indexes(Oid relid, AttrNumber attno);

/* Foreign keys of the table itself: to a colocated table on the distribution columns or to a
 * reference table. The table's kind and colocation as they will be. 0A000. */
void check_foreign_keys(Oid relid, catalog::TableKind kind, ColocationId colocation,
						AttrNumber attno);

/* Tables that the table's foreign keys point at (oid list; itself too). */
List *referenced_tables(Oid relid);

/* Whether triggers of the table can fire as they are meant to. has_replicas: rows have several
 * placements. */
void check_triggers(Oid relid, bool has_replicas);

} // namespace civitas::ddl
