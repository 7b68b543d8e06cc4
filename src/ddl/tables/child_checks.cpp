/*
 * child_checks.cpp: what may be a partition of a table of the metadata.
 *
 * A query on such a table reads its shards, so that a child counts only where every shard of the
 * parent has a shard of the child as its own. Partitions that are plain become such when they are
 * attached; those in the metadata must have their shards in the same places already.
 */
#include "table_checks.h"

CIVITAS_PG_BEGIN
#include "catalog/pg_class.h"
#include "utils/lsyscache.h"
CIVITAS_PG_END

namespace civitas::ddl {

using catalog::TableKind;

void refuse_child(Oid child, Oid parent, const char *detail, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("table \"%s\" cannot be a %s of distributed table \"%s\"", get_rel_name(child),
					get_rel_relkind(parent) == RELKIND_PARTITIONED_TABLE ? "partition" : "child",
					get_rel_name(parent)),
			 errdetail_internal("%s", detail), errhint("%s", hint)));
}

void refuse_plain_parent(Oid child)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot attach distributed table \"%s\" to a plain table", get_rel_name(child)),
			 errhint("Distribute the partitioned table first.")));
}

void check_kind_of_child(Oid child, Oid parent)
{
	if (get_rel_relkind(parent) != RELKIND_PARTITIONED_TABLE)
		refuse_child(child, parent, "The shards of the table would not have it as a child.",
					 "Use a table with PARTITION BY, or undistribute_table() first.");
	if (get_rel_relkind(child) == RELKIND_FOREIGN_TABLE)
		refuse_child(child, parent, "It is a foreign table, whose rows are in no shard.",
					 "Copy its rows into an ordinary partition, or query both with UNION ALL.");
}

void check_partition(Oid partition, const catalog::Table& parent)
{
	check_kind_of_child(partition, parent.relid);
	const catalog::Table *table = catalog::find_table(partition);
	if (table == nullptr)
		return;
	catalog::require_sound(*table);
	const char *detail = nullptr;
	if (table->kind == TableKind::Reference)
		detail = "It is a reference table.";
	else if (table->kind == TableKind::Local && parent.kind != TableKind::Local)
		detail = "It is a local table of the metadata.";
	else if (table->kind != parent.kind || table->colocation_id != parent.colocation_id)
		detail = "It is not colocated with the partitioned table.";
	else if (table->kind == TableKind::Hash)
	{
		const char *own = catalog::distribution_column_name(*table);
		const char *wanted = catalog::distribution_column_name(parent);
		if (strcmp(own, wanted) != 0)
			detail = psprintf("It is distributed by column \"%s\", the partitioned table by column "
							  "\"%s\".",
							  own, wanted);
	}
	if (detail != nullptr)
		refuse_child(
			partition, parent.relid, detail,
			table->kind == TableKind::Hash && parent.kind == TableKind::Hash
				? "Use alter_distributed_table() or undistribute_table() on it first. A "
				  "plain table is distributed when it is attached."
				: "Use undistribute_table() on it first. A plain table is distributed when "
				  "it is attached.");
}

} // namespace civitas::ddl
