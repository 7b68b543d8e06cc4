/*
 * distribute_online.cpp: the definitions' part of create_distributed_table_concurrently().
 *
 * Everything that may be refused is refused by plan_online(), before anything is made. It writes
 * nothing: a colocation group that is not there yet is made by the switch, and until then the lock
 * on pg_dist_colocation keeps others from making it.
 *
 * Shards are made on nodes that do not know the table yet, from models: tables like it that live
 * for one transaction, so that nobody meets them. What the models need (schemas, types, functions)
 * is made with them and stays.
 */
#include "../tables/table_checks.h"
#include "civitas/catalog/metadata_sql.h"
#include "civitas/catalog/relations.h"
#include "civitas/ddl/objects.h"
#include "civitas/deparse/table_definition.h"
#include "civitas/pg/sql_text.h"
#include "civitas/pg/str.h"
#include "civitas/txn/transaction.h"
#include "distribute.h"

CIVITAS_PG_BEGIN
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"
CIVITAS_PG_END

namespace civitas::ddl {

using catalog::TableKind;

namespace {

void append_with_partitions(Oid relid, LOCKMODE lock, List **tables)
{
	*tables = lappend_oid(*tables, relid);
	List *partitions = find_inheritance_children(relid, lock);
	ListCell *cell;
	foreach (cell, partitions)
		append_with_partitions(lfirst_oid(cell), lock, tables);
}

} // namespace

List *table_with_partitions(Oid relid, int lock)
{
	List *tables = NIL;
	append_with_partitions(relid, lock, &tables);
	return tables;
}

/* --- the plan -------------------------------------------------------------------------------- */

namespace {

/* The other side of a foreign key would have to change at the same moment. */
void refuse_foreign_keys(Oid relid)
{
	const char *key = pg::sql_text(psprintf("SELECT conname FROM pg_constraint WHERE contype = 'f' "
											"AND %u IN (conrelid, confrelid) LIMIT 1",
											relid));
	if (key != nullptr)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("table \"%s\" cannot be distributed concurrently", get_rel_name(relid)),
				 errdetail("It has foreign key \"%s\".", key),
				 errhint("Use create_distributed_table(), which blocks writes meanwhile, or add "
						 "the foreign key afterwards.")));
}

void check_tables(List *tables, const char *column)

{
	ListCell *cell;
	foreach (cell, tables)
	{
		const Oid relid = lfirst_oid(cell);
		check_distributable(relid, foreach_current_index(cell) > 0);
		if (column != nullptr)
			check_unique_indexes(relid, get_attnum(relid, column));
		refuse_foreign_keys(relid);
	}
}

void refuse_local_metadata(Oid relid)
{
	const catalog::Table *table = catalog::find_table(relid);
	if (table != nullptr && table->kind == TableKind::Local)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("table \"%s\" cannot be distributed concurrently", get_rel_name(relid)),
				 errdetail("The other nodes know it as a local table of the coordinator."),
				 errhint("Use create_distributed_table(), or undistribute_table() first.")));
}

} // namespace

OnlinePlan plan_online(const DistributeRequest& request)
{
	open_for_distribution(request.relid, RowExclusiveLock);
	refuse_local_metadata(request.relid);
	OnlinePlan plan = {};
	plan.tables = table_with_partitions(request.relid, RowExclusiveLock);
	plan.column = request.column;
	plan.with = request.with;
	auto *distribution = static_cast<Distribution *>(palloc0(sizeof(Distribution)));
	*distribution = {.kind = TableKind::SingleShard};
	if (request.column != nullptr)
	{
		*distribution = hash_distribution(request);
		const DistributionColumn column = check_distribution_column(request.relid, request.column);
		plan.column_type = column.type;
		plan.column_collation = column.collation;
	}
	check_tables(plan.tables, request.column);
	plan.joins = join_colocation(request.relid, distribution, request.with, request.shard_count > 0,
								 plan.column_type, plan.column_collation);
	/* The group itself is locked then. */
	if (plan.joins)
		UnlockRelationOid(catalog::relation_oid(catalog::Catalog::Colocation),
						  ShareRowExclusiveLock);
	if (distribution->kind == TableKind::SingleShard)
		distribution->first_place = static_cast<int>(request.relid % 1024);
	plan.distribution = distribution;
	plan.shards = plan_shards(*distribution);
	return plan;
}

/* --- models ---------------------------------------------------------------------------------- */

namespace {

void append_commands(pg::Str& sql, List *commands)
{
	ListCell *cell;
	foreach (cell, commands)
		sql.raw(static_cast<const char *>(lfirst(cell))).raw(";\n");
}

} // namespace

char *make_models_sql(List *tables)
{
	pg::Str sql;
	const char *bring = bring_objects_sql(needed_objects(tables, NIL), false);
	if (bring != nullptr)
		sql.raw(bring).raw(";\n");
	ListCell *cell;
	foreach (cell, tables)
	{
		const Oid relid = lfirst_oid(cell);
		append_commands(sql, deparse::shard_commands(relid));
		const char *attach = deparse::attach_partition_command(relid);
		if (attach != nullptr)
			sql.raw(attach).raw(";\n");
	}
	return sql.c_str();
}

char *drop_models_sql(List *tables)
{
	/* Its partitions go with it. */
	pg::Str sql;
	return sql.raw("DROP TABLE ")
		.raw(qualified_table_name(linitial_oid(tables)))
		.raw(";\n")
		.c_str();
}

/* --- the switch ------------------------------------------------------------------------------ */

void switch_online(const OnlinePlan& plan, std::span<const ShardId> ids)
{
	if (!plan.joins)
		make_colocation(plan.distribution, plan.with, plan.column_type, plan.column_collation);
	const auto count = static_cast<size_t>(plan.shards.size());
	ListCell *cell;
	foreach (cell, plan.tables)
	{
		const Oid relid = lfirst_oid(cell);
		insert_metadata(
			relid, *plan.distribution, plan.shards.span(),
			ids.subspan(count * static_cast<size_t>(foreach_current_index(cell)), count));
		txn::run_on_other_nodes(definition_sql(relid));
	}
	foreach (cell, plan.tables)
		if (get_rel_relkind(lfirst_oid(cell)) == RELKIND_RELATION)
			empty_shell(lfirst_oid(cell));
	/* Foreign keys there are none; triggers and policies that bind the owner, once the rows are there. */
	create_part_of_shards(plan.tables, ShardPart::ForeignKeys);
	keep_dependents(plan.tables);
}

} // namespace civitas::ddl
