/*
 * split.cpp: citus_split_shard_by_split_points(), isolate_tenant_to_new_shard().
 *
 * A shard is cut with its whole group: the shards of all colocated tables at the same place of the
 * hash range. Each piece gets shards of new ids, on the node asked for, filled with the rows of the
 * old shard whose hash is in the piece's range. Where the old shard has several placements, each of
 * them fills one of every piece, so that all of a piece hold what is committed at the switch. What
 * stands still meanwhile is what a move holds still.
 *
 *   check, lock, look again -> targets -> rows -> indexes -> writes stop -> foreign keys
 *     -> metadata on all nodes, in this transaction
 *
 * The commit is the switch. New shards have records until then, old ones from then on (cleanup.h).
 * The number of shards of the group grows: pg_dist_colocation follows, so that the default group of
 * new tables is one with equal ranges again.
 */
#include "civitas/shard/split.h"
#include "civitas/catalog/hash_function.h"
#include "civitas/catalog/relations.h"
#include "civitas/catalog/writes.h"
#include "civitas/cluster/cluster.h"
#include "civitas/pg/debug_point.h"
#include "civitas/pg/sql_text.h"
#include "civitas/txn/transaction.h"
#include "cleanup.h"
#include "disk_space.h"
#include "progress.h"
#include "rearrange.h"
#include "reference_copies.h"
#include "transfer.h"

CIVITAS_PG_BEGIN
#include "catalog/partition.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
CIVITAS_PG_END

namespace civitas::cluster {

using catalog::Table;
using shard::HashRange;

namespace {

/* citus.defer_drop_after_shard_split */
bool defer_drop;

/* A cut: where, and which node gets which piece. */
struct Cut
{
	std::span<const int32> points;
	std::span<const catalog::Node> nodes;

	int pieces() const { return static_cast<int>(points.size()) + 1; }
};

/* --- checks ---------------------------------------------------------------------------------- */

const Table& table_of_shard(ShardId shard, int *index)
{
	catalog::ShardOwner owner;
	if (!catalog::find_shard(shard, &owner))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("shard " INT64_FORMAT " does not exist", shard)));
	*index = owner.shard_index;
	const Table& table = catalog::get_table(owner.relid);
	catalog::require_sound(table);
	return table;
}

void check_table(const Table& table)
{
	if (table.kind != catalog::TableKind::Hash)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("shards of table \"%s\" cannot be split", get_rel_name(table.relid)),
						errdetail("It is not distributed by hash.")));
}

HashRange range_of(const Table& table, int index)
{
	return {table.shards[index].min_hash, table.shards[index].max_hash};
}

void check_cut(const Table& table, int index, const Cut& cut)
{
	const HashRange range = range_of(table, index);
	int which;
	const shard::SplitProblem problem = shard::check_split_points(range, cut.points, &which);
	switch (problem)
	{
	case shard::SplitProblem::None:
		break;
	case shard::SplitProblem::NoPoints:
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("at least one split point is needed")));
	case shard::SplitProblem::OutOfRange:
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("split point %d does not cut shard " INT64_FORMAT, cut.points[which],
							   table.shards[index].shard_id),
						errdetail("Its hashes are %d to %d.", range.min, range.max),
						range.min < range.max
							? errhint("A split point is the last hash of a new shard: %d to %d are "
									  "possible here.",
									  range.min, range.max - 1)
							: errhint("A shard of one hash cannot be split.")));
	case shard::SplitProblem::NotAscending:
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("split point %d must be above the one before, %d", cut.points[which],
							   cut.points[which - 1])));
	}
	if (static_cast<int>(cut.nodes.size()) != cut.pieces())
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%d split points make %d shards, but there are %d nodes for them",
					static_cast<int>(cut.points.size()), cut.pieces(),
					static_cast<int>(cut.nodes.size())),
			 errhint("Give one node for each new shard, in the order of the hash ranges; a node "
					 "may be given several times.")));
	if (table.shard_count + cut.pieces() - 1 > MAX_SHARD_COUNT)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("table \"%s\" would have more than %d shards",
							   get_rel_name(table.relid), MAX_SHARD_COUNT)));
}

/* The nodes of the shard's placements; those of a group are the same for all its tables. */
pg::Vec<catalog::Node> sources_of(const Table& table, int index)
{
	pg::Vec<catalog::Node> nodes;
	for (const catalog::Placement& placement : table.placements_of(index))
		nodes.push(catalog::get_primary(placement.group_id));
	return nodes;
}

/* --- the way --------------------------------------------------------------------------------- */

/* What is transferred: for each placement of the old shard (a place) each piece, of each table. */
struct Plan
{
	pg::Vec<ShardTransfer> transfers;
	int places;
	int pieces;
	int tables;

	const ShardTransfer& at(int place, int piece, int table) const
	{
		return transfers[(place * pieces + piece) * tables + table];
	}
	Transfers all() const { return transfers.span(); }
	/* Every piece has the same sources: the old placements of all tables on one node. */
	Transfers sources(int place) const
	{
		return all().subspan(static_cast<size_t>(place * pieces * tables),
							 static_cast<size_t>(tables));
	}
};

/* A piece has its placements where the old shard has them, but for the first of these where the
 * node that was asked for has none. */
const catalog::Node& target_of(const pg::Vec<catalog::Node>& sources, int place,
							   const catalog::Node& asked)
{
	for (const catalog::Node& source : sources)
		if (source.group_id == asked.group_id)
			return sources[place];
	return place == 0 ? asked : sources[place];
}

Plan plan_transfers(List *tables, int index, const Cut& cut)
{
	const pg::Vec<ShardId> ids = new_shard_ids(list_length(tables) * cut.pieces());
	const pg::Vec<catalog::Node> sources =
		sources_of(catalog::get_table(linitial_oid(tables)), index);
	Plan plan = {{}, sources.size(), cut.pieces(), list_length(tables)};
	for (int place = 0; place < plan.places; place++)
		for (int piece = 0; piece < plan.pieces; piece++)
		{
			const catalog::Node& target =
				target_of(sources, place, cut.nodes[static_cast<size_t>(piece)]);
			ListCell *cell;
			foreach (cell, tables)
			{
				const Table& table = catalog::get_table(lfirst_oid(cell));
				const HashRange whole = range_of(table, index);
				const HashRange range = shard::split_piece(whole, cut.points, piece);
				const char *column = catalog::distribution_column_name(table);
				plan.transfers.push({table.relid,
									 table.shards[index].shard_id,
									 ids[foreach_current_index(cell) * plan.pieces + piece],
									 sources[place],
									 target,
									 {column, catalog::hash_function_name(table), range, whole},
									 share_of(range, whole)});
			}
		}
	return plan;
}

/* ", ARRAY[..]::type[]" of `count` values. */
template <typename Value>
void append_array(pg::Str& sql, int count, const char *type, Value&& value)
{
	sql.raw(", ARRAY[");
	for (int i = 0; i < count; i++)
		sql.raw(i > 0 ? ", " : "").num(value(i));
	sql.raw("]::").raw(type).raw("[]");
}

/* The metadata, here and on all other nodes. */
void switch_shards(List *tables, int index, const Plan& plan, SwitchCommands *commands)
{
	pg::Str sql;
	ListCell *cell;
	foreach (cell, tables)
	{
		const Table& table = catalog::get_table(lfirst_oid(cell));
		const int at = foreach_current_index(cell);
		const auto piece = [&](int i) -> const ShardTransfer& { return plan.at(0, i, at); };
		const auto placement = [&](int i) -> const ShardTransfer& {
			return plan.at(i / plan.pieces, i % plan.pieces, at);
		};
		const int placements = plan.places * plan.pieces;
		sql.raw("SELECT citus_internal.replace_shard(")
			.literal(quote_qualified_identifier(get_namespace_name(get_rel_namespace(table.relid)),
												get_rel_name(table.relid)));
		sql.raw("::pg_catalog.regclass, ").num(table.shards[index].shard_id);
		append_array(sql, plan.pieces, "bigint", [&](int i) { return piece(i).target_shard; });
		append_array(sql, plan.pieces, "pg_catalog.text",
					 [&](int i) { return piece(i).cut.range.min; });
		append_array(sql, plan.pieces, "pg_catalog.text",
					 [&](int i) { return piece(i).cut.range.max; });
		append_array(sql, placements, "bigint", [&](int) { return catalog::next_placement_id(); });
		append_array(sql, placements, "bigint", [&](int i) { return placement(i).target_shard; });
		append_array(sql, placements, "integer",
					 [&](int i) { return placement(i).target.group_id; });
		sql.raw(");");
	}
	commands->add(local_node(), sql.c_str());
	commands->add_on_other_nodes(sql.c_str());
	commands->run_on_nodes();
}

void carry_out(TransferMode mode, List *tables, int index, const Plan& plan)
{
	const int64 operation = begin_operation();
	create_targets(operation, plan.all());
	CIVITAS_DEBUG_POINT("split_created");
	fill_targets(mode, operation, tables, plan.all());
	set_phase(Phase::ForeignKeys);
	SwitchCommands commands;
	add_foreign_keys(&commands, plan.all());
	for (int place = 0; place < plan.places; place++)
		ignore_foreign_keys(&commands, plan.sources(place));
	CIVITAS_DEBUG_POINT("split_filled");
	set_phase(Phase::Completing);
	switch_shards(tables, index, plan, &commands);
	keep_objects(operation);
	for (int place = 0; place < plan.places; place++)
		give_up_sources(operation, plan.sources(place), defer_drop);
	CIVITAS_DEBUG_POINT("split_switched");
}

/* Splits a shard with its group; the new shard ids of `relid`, in hash order. */
pg::Vec<ShardId> split(ShardId shard, Oid relid, const Cut& cut, TransferMode mode)
{
	int index;
	check_table(table_of_shard(shard, &index));
	provide_reference_tables(cut.nodes, mode);
	List *tables = lock_definitions(lock_members(shard));
	/* Again: the shard may have been split while we waited. */
	const Table& table = table_of_shard(shard, &index);
	check_owner(tables);
	check_not_written(tables, "split");
	check_cut(table, index, cut);
	for (const catalog::Node& node : cut.nodes)
	{
		check_active_primary(node);
		check_has_reference_tables(node);
	}
	for (const catalog::Node& node : sources_of(table, index))
		check_active_primary(node);
	check_mode(mode, tables, "split", "split");
	const Plan plan = plan_transfers(tables, index, cut);
	check_disk_space(plan.all());
	begin_progress(plan.all(), "split");
	PG_TRY();
	{
		carry_out(mode, tables, index, plan);
	}
	PG_FINALLY();
	{
		end_progress();
	}
	PG_END_TRY();

	pg::Vec<ShardId> ids;
	for (const ShardTransfer& transfer :
		 plan.all().subspan(0, static_cast<size_t>(plan.pieces * plan.tables)))
		if (transfer.relid == relid)
			ids.push(transfer.target_shard);
	return ids;
}

/* --- arguments ------------------------------------------------------------------------------- */

void check_may_split()
{
	catalog::check_extension_version();
	catalog::require_coordinator();
	PreventCommandIfReadOnly("splitting shards");
}

pg::Vec<int32> points_argument(ArrayType *array)
{
	Datum *texts;
	bool *nulls;
	int count;
	pg::Vec<int32> points;
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &texts, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		if (nulls[i])
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("a split point cannot be NULL")));
		points.push(pg_strtoint32(TextDatumGetCString(texts[i])));
	}
	return points;
}

pg::Vec<catalog::Node> nodes_argument(ArrayType *array)
{
	Datum *ids;
	bool *nulls;
	int count;
	pg::Vec<catalog::Node> nodes;
	deconstruct_array(array, INT4OID, 4, true, TYPALIGN_INT, &ids, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("a node id cannot be NULL")));
		nodes.push(node_by_id(DatumGetInt32(ids[i])));
	}
	return nodes;
}

Oid root_of(Oid relid)
{
	List *ancestors = get_rel_relispartition(relid) ? get_partition_ancestors(relid) : NIL;
	return ancestors == NIL ? relid : llast_oid(ancestors);
}

/* Whether the caller must say that colocated tables are split as well. */
void check_cascade(const Table& table, const char *option)
{
	if (pg_strcasecmp(option, "cascade") == 0)
		return;
	if (option[0] != '\0')
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("invalid cascade_option \"%s\"", option),
						errhint("It is 'CASCADE' or empty.")));
	List *members = catalog::colocated_table_oids(table.colocation_id);
	ListCell *cell;
	foreach (cell, members)
		if (root_of(lfirst_oid(cell)) != root_of(table.relid))
			ereport(
				ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot isolate a tenant of table \"%s\" alone", get_rel_name(table.relid)),
				 errdetail("Table \"%s\" is colocated with it.", get_rel_name(lfirst_oid(cell))),
				 errhint("Use cascade_option => 'CASCADE' to isolate the tenant in all "
						 "colocated tables.")));
}

} // namespace

void split_init()
{
	DefineCustomBoolVariable("citus.defer_drop_after_shard_split",
							 "Drops the old shards of a split later, in the background.",
							 "Off: the split itself drops them, and waits for those who still read "
							 "them while writes wait.",
							 &defer_drop, true, PGC_USERSET, 0, nullptr, nullptr, nullptr);
}

CIVITAS_PG_BEGIN

PG_FUNCTION_INFO_V1(citus_split_shard_by_split_points);
PGDLLEXPORT Datum citus_split_shard_by_split_points(PG_FUNCTION_ARGS)
{
	check_may_split();
	const ShardId shard = PG_GETARG_INT64(0);
	int index;
	const Table& table = table_of_shard(shard, &index);
	check_table(table);
	const pg::Vec<int32> points = points_argument(PG_GETARG_ARRAYTYPE_P(1));
	const pg::Vec<catalog::Node> nodes = nodes_argument(PG_GETARG_ARRAYTYPE_P(2));
	split(shard, table.relid, {points.span(), nodes.span()},
		  transfer_mode_argument(PG_GETARG_OID(3)));
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(isolate_tenant_to_new_shard);
PGDLLEXPORT Datum isolate_tenant_to_new_shard(PG_FUNCTION_ARGS)
{
	/* The tenant may be NULL. */
	if (PG_ARGISNULL(0) || PG_ARGISNULL(2) || PG_ARGISNULL(3))
		PG_RETURN_NULL();
	check_may_split();
	const Table& table = catalog::get_table(PG_GETARG_OID(0));
	catalog::require_sound(table);
	check_table(table);
	check_cascade(table, text_to_cstring(PG_GETARG_TEXT_PP(2)));
	int32 hash = catalog::NULL_HASH;
	if (!PG_ARGISNULL(1))
		hash = catalog::hash_value(
			table, catalog::distribution_value(table, PG_GETARG_DATUM(1),
											   get_fn_expr_argtype(fcinfo->flinfo, 1)));
	const int index = catalog::shard_index_of_hash(table, hash);
	int32 points[2];
	int piece;
	const int count = shard::isolating_points(range_of(table, index), hash, points, &piece);
	if (count == 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("the tenant has a shard of its own already, " INT64_FORMAT,
							   table.shards[index].shard_id)));
	const catalog::Node source = sources_of(table, index)[0];
	const catalog::Node nodes[] = {source, source, source};
	const pg::Vec<ShardId> ids =
		split(table.shards[index].shard_id, table.relid,
			  {{points, static_cast<size_t>(count)}, {nodes, static_cast<size_t>(count) + 1}},
			  transfer_mode_argument(PG_GETARG_OID(3)));
	PG_RETURN_INT64(ids[piece]);
}

CIVITAS_PG_END

} // namespace civitas::cluster
