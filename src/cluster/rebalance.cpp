/*
 * rebalance.cpp: what the planner of moves (shard/rebalance.h) is asked.
 *
 * A unit of movement is a shard group: the shards of equal index of all tables of a colocation
 * group. The strategy's functions are asked about one shard of the group, that of the table that
 * was created first. The three functions that come with the extension are not called a hundred
 * thousand times: costs by count, equal capacities and "allowed everywhere" are known, and sizes
 * are asked of each node once.
 *
 * Colocation groups with at least as many shard groups as there are nodes for them are balanced
 * each by itself, so that the load of each table is spread; the smaller ones (single-shard tables,
 * schemas) are balanced together.
 */
#include "rebalance.h"

#include "civitas/catalog/tables.h"
#include "civitas/pg/compat.h"
#include "civitas/pg/core_call.h"
#include "civitas/pg/sql_text.h"
#include "civitas/pg/str.h"
#include "civitas/shard/rebalance.h"

CIVITAS_PG_BEGIN
#include "catalog/pg_class.h"
#include "executor/spi.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
CIVITAS_PG_END

#include <algorithm>
#include <cmath>

namespace civitas::cluster {

using catalog::Node;
using catalog::Table;

namespace {

/* What a shard group costs under by_disk_size beside its bytes, so that empty shards are spread
 * too: the same as in sql/rebalance.sql. */
constexpr double BASE_COST = 104857600;

/* A row of pg_dist_rebalance_strategy. */
struct Strategy
{
	const char *name;
	Oid cost_function;
	Oid capacity_function;
	Oid allowed_function;
	double default_threshold;
	double minimum_threshold;
	double improvement_threshold;
	/* Functions that need not be called. */
	bool counts_shards;
	bool measures_disk;
	bool equal_capacities;
	bool allows_all;
};

/* A shard group, at the place of its RebalanceGroup. */
struct Unit
{
	const Table *table;
	int32 shard_index;
};

/* Everything while a plan is made. */
struct Planning
{
	const RebalanceRequest *request;
	Strategy strategy;
	pg::Vec<const Node *> node_rows;
	pg::Vec<shard::RebalanceNode> nodes;
	pg::Vec<Unit> units;
	pg::Vec<shard::RebalanceGroup> groups;
	pg::Vec<shard::RebalancePlacement> placements;
	pg::Vec<uint8> allowed;
	pg::Vec<ShardSize> sizes;
	int32 pools = 0;
};

Strategy read_strategy(const char *name)
{
	pg::Str sql;
	sql.raw("SELECT unnest(ARRAY[name, shard_cost_function::oid::text, "
			"node_capacity_function::oid::text, shard_allowed_on_node_function::oid::text, "
			"default_threshold::text, minimum_threshold::text, improvement_threshold::text, "
			"(shard_cost_function = 'pg_catalog.citus_shard_cost_1'::regproc)::text, "
			"(shard_cost_function = 'pg_catalog.citus_shard_cost_by_disk_size'::regproc)::text, "
			"(node_capacity_function = 'pg_catalog.citus_node_capacity_1'::regproc)::text, "
			"(shard_allowed_on_node_function = "
			"'pg_catalog.citus_shard_allowed_on_node_true'::regproc)::text]) "
			"FROM pg_dist_rebalance_strategy WHERE ");
	if (name != nullptr)
		sql.raw("name = ").literal(name);
	else
		sql.raw("default_strategy");
	List *texts = pg::sql_texts(sql.c_str());
	if (texts == NIL && name != nullptr)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("rebalance strategy \"%s\" does not exist", name),
						errhint("pg_dist_rebalance_strategy lists them.")));
	if (texts == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("there is no default rebalance strategy"),
				 errhint("Name one, or choose one with citus_set_default_rebalance_strategy().")));
	auto text = [texts](int place) { return static_cast<const char *>(list_nth(texts, place)); };
	auto oid = [&](int place) { return static_cast<Oid>(strtoul(text(place), nullptr, 10)); };
	auto number = [&](int place) { return strtod(text(place), nullptr); };
	auto flag = [&](int place) { return text(place)[0] == 't'; };
	return {text(0),   oid(1),	oid(2),	 oid(3),  number(4), number(5),
			number(6), flag(7), flag(8), flag(9), flag(10)};
}

double check_threshold(const Planning& planning)
{
	const Strategy& strategy = planning.strategy;
	if (!planning.request->has_threshold)
		return strategy.default_threshold;
	const double threshold = planning.request->threshold;
	if (!(threshold >= 0))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("threshold must not be negative")));
	if (threshold >= strategy.minimum_threshold)
		return threshold;
	ereport(WARNING,
			(errcode(ERRCODE_WARNING),
			 errmsg("threshold %g is below the minimum of strategy \"%s\", which is used instead",
					threshold, strategy.name),
			 errdetail("The minimum is %g.", strategy.minimum_threshold)));
	return strategy.minimum_threshold;
}

/* --- sizes --- */

void read_sizes(Planning& planning, bool fail_on_error)
{
	SPI_connect();
	const char *sql = psprintf("SELECT z.shardid, pg_catalog.max(z.size) "
							   "FROM citus_internal.placement_sizes(NULL, 'total', %s) z "
							   "GROUP BY z.shardid ORDER BY z.shardid",
							   fail_on_error ? "true" : "false");
	if (SPI_execute(sql, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "sizes of shards could not be read");
	planning.sizes.reserve(static_cast<int>(SPI_processed));
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		bool is_null;
		HeapTuple tuple = SPI_tuptable->vals[row];
		const Datum shard = SPI_getbinval(tuple, SPI_tuptable->tupdesc, 1, &is_null);
		const Datum size = SPI_getbinval(tuple, SPI_tuptable->tupdesc, 2, &is_null);
		if (!is_null)
			planning.sizes.push({DatumGetInt64(shard), DatumGetInt64(size)});
	}
	SPI_finish();
}

double bytes_of(const Planning& planning, ShardId shard_id)
{
	const ShardSize *end = planning.sizes.end();
	const ShardSize *found = std::lower_bound(
		planning.sizes.begin(), end, shard_id,
		[](const ShardSize& size, ShardId wanted) { return size.shard_id < wanted; });
	return found != end && found->shard_id == shard_id ? static_cast<double>(found->bytes) : 0;
}

/* --- nodes --- */

/* The number that a strategy's function gives for an id, which must be a sensible one. */
double ask_function(Oid function, Datum id, const char *what, int64 id_for_message)
{
	FmgrInfo info;
	fmgr_info(function, &info);
	LOCAL_FCINFO(call, 1);
	InitFunctionCallInfoData(*call, &info, 1, InvalidOid, nullptr, nullptr);
	call->args[0] = {id, false};
	const Datum answer = FunctionCallInvoke(call);
	const double number = call->isnull ? -1 : DatumGetFloat4(answer);
	if (!(number >= 0) || std::isinf(number))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("function %s gave no usable %s for " INT64_FORMAT,
							   get_func_name(function), what, id_for_message),
						errdetail("It must be a number that is not negative.")));
	return number;
}

void collect_nodes(Planning& planning)
{
	for (const Node& node : catalog::all_nodes())
	{
		if (node.role != catalog::NodeRole::Primary || !node.is_active)
			continue;
		const double capacity =
			planning.strategy.equal_capacities
				? 1
				: ask_function(planning.strategy.capacity_function, Int32GetDatum(node.node_id),
							   "capacity", node.node_id);
		planning.node_rows.push(&node);
		planning.nodes.push(
			{capacity, node.should_have_shards && node.node_id != planning.request->drained_node});
	}
}

int node_index(const Planning& planning, GroupId group_id)
{
	for (int i = 0; i < planning.node_rows.size(); i++)
		if (planning.node_rows[i]->group_id == group_id)
			return i;
	return -1;
}

/* --- shard groups --- */

bool is_excluded(const Planning& planning, ShardId shard_id)
{
	for (const Datum excluded : planning.request->excluded_shards)
		if (DatumGetInt64(excluded) == shard_id)
			return true;
	return false;
}

double cost_of(const Planning& planning, const pg::Vec<const Table *>& tables, int index)
{
	const Strategy& strategy = planning.strategy;
	const ShardId first = tables[0]->shards[index].shard_id;
	if (strategy.counts_shards)
		return 1;
	if (!strategy.measures_disk)
		return ask_function(strategy.cost_function, Int64GetDatum(first), "cost", first);
	double cost = BASE_COST;
	for (const Table *table : tables)
		cost += bytes_of(planning, table->shards[index].shard_id);
	return cost;
}

/* Whether one of the group's placements is on the only node that is to be drained. */
bool is_concerned(const Planning& planning, const Table& table, int index)
{
	const NodeId drained = planning.request->drained_node;
	if (drained == 0)
		return true;
	for (const catalog::Placement& placement : table.placements_of(index))
	{
		const int node = node_index(planning, placement.group_id);
		if (node >= 0 && planning.node_rows[node]->node_id == drained)
			return true;
	}
	return false;
}

void ask_where_allowed(Planning& planning, ShardId shard_id)
{
	if (planning.strategy.allows_all)
		return;
	for (const Node *node : planning.node_rows)
		planning.allowed.push(
			DatumGetBool(OidFunctionCall2(planning.strategy.allowed_function,
										  Int64GetDatum(shard_id), Int32GetDatum(node->node_id))));
}

void check_owner(Oid relid)
{
	if (!pg::owns(RelationRelationId, relid))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, get_rel_name(relid));
}

void collect_colocation_group(Planning& planning, ColocationId colocation_id, int32 pool)
{
	pg::Vec<const Table *> tables;
	ListCell *cell;
	foreach (cell, catalog::colocated_table_oids(colocation_id))
	{
		const Table& table = catalog::get_table(lfirst_oid(cell));
		if (planning.request->must_own)
			check_owner(table.relid);
		if (!tables.empty() && table.shard_count != tables[0]->shard_count)
			ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
							errmsg("tables of colocation group %d have different numbers of shards",
								   colocation_id)));
		tables.push(&table);
	}
	for (int index = 0; index < tables[0]->shard_count; index++)
	{
		CHECK_FOR_INTERRUPTS();
		bool movable = is_concerned(planning, *tables[0], index);
		for (const Table *table : tables)
			movable = movable && !is_excluded(planning, table->shards[index].shard_id);
		const int32 group = planning.groups.size();
		planning.units.push({tables[0], index});
		planning.groups.push({cost_of(planning, tables, index), pool, movable});
		ask_where_allowed(planning, tables[0]->shards[index].shard_id);
		for (const catalog::Placement& placement : tables[0]->placements_of(index))
		{
			const int node = node_index(planning, placement.group_id);
			if (node >= 0)
				planning.placements.push({group, node});
		}
	}
}

struct GroupSize
{
	ColocationId id;
	int shard_count;
};

/* The colocation groups in question, ordered by id. */
pg::Vec<GroupSize> wanted_groups(const RebalanceRequest& request)
{
	pg::Vec<GroupSize> groups;
	if (OidIsValid(request.relation))
	{
		const Table& table = catalog::get_table(request.relation);
		catalog::require_sound(table);
		if (!table.is_distributed())
			ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
							errmsg("table \"%s\" has no shards that can be moved",
								   get_rel_name(request.relation)),
							errdetail("Only distributed tables have, reference and local tables "
									  "have not.")));
		groups.push({table.colocation_id, table.shard_count});
		return groups;
	}
	ListCell *cell;
	foreach (cell, catalog::sound_table_oids())
	{
		const Table& table = catalog::get_table(lfirst_oid(cell));
		bool known = !table.is_distributed();
		for (const GroupSize& group : groups)
			known = known || group.id == table.colocation_id;
		if (!known)
			groups.push({table.colocation_id, table.shard_count});
	}
	std::sort(groups.begin(), groups.end(),
			  [](const GroupSize& a, const GroupSize& b) { return a.id < b.id; });
	return groups;
}

void collect_groups(Planning& planning)
{
	int usable = 0;
	for (const shard::RebalanceNode& node : planning.nodes)
		usable += node.may_have_shards && node.capacity > 0;
	int32 small = -1;
	for (const GroupSize& group : wanted_groups(*planning.request))
	{
		int32 pool;
		if (group.shard_count >= usable)
			pool = planning.pools++;
		else
		{
			if (small < 0)
				small = planning.pools++;
			pool = small;
		}
		collect_colocation_group(planning, group.id, pool);
	}
}

void warn_of_stuck(const Planning& planning, int32 place)
{
	const shard::RebalancePlacement& placement = planning.placements[place];
	const Unit& unit = planning.units[placement.group];
	const Node *node = planning.node_rows[placement.node];
	ereport(WARNING,
			(errcode(ERRCODE_WARNING),
			 errmsg("shard " INT64_FORMAT " cannot leave %s:%d: no other node may have it",
					unit.table->shards[unit.shard_index].shard_id, node->name, node->port)));
}

} // namespace

RebalancePlan plan_rebalance(const RebalanceRequest& request)
{
	Planning planning;
	planning.request = &request;
	if (request.max_moves < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("max_shard_moves must not be negative")));
	planning.strategy = read_strategy(request.strategy);
	const double threshold = check_threshold(planning);
	const double improvement = request.has_improvement_threshold
								   ? request.improvement_threshold
								   : planning.strategy.improvement_threshold;
	if (!(improvement >= 0))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("improvement_threshold must not be negative")));
	if (planning.strategy.measures_disk || request.with_sizes)
		read_sizes(planning, planning.strategy.measures_disk);
	collect_nodes(planning);
	collect_groups(planning);

	const size_t count = planning.placements.size();
	auto *moves = static_cast<shard::RebalanceMove *>(
		MemoryContextAllocHuge(CurrentMemoryContext, (count + 1) * sizeof(shard::RebalanceMove)));
	auto *stuck = static_cast<int32 *>(
		MemoryContextAllocHuge(CurrentMemoryContext, (count + 1) * sizeof(int32)));
	const shard::RebalanceInput input = {planning.nodes.span(),
										 planning.groups.span(),
										 planning.placements.span(),
										 planning.allowed.span(),
										 planning.pools,
										 threshold,
										 improvement,
										 request.drain_only,
										 request.max_moves};
	shard::RebalanceOutcome outcome = {};
	pg::call_core([&] { outcome = shard::plan_rebalance(input, {moves, count}, {stuck, count}); });

	for (int i = 0; i < outcome.stuck; i++)
		warn_of_stuck(planning, stuck[i]);
	RebalancePlan plan;
	for (int i = 0; i < outcome.moves; i++)
	{
		const shard::RebalancePlacement& placement = planning.placements[moves[i].placement];
		const Unit& unit = planning.units[placement.group];
		plan.moves.push({unit.table->colocation_id, unit.table->relid, unit.shard_index,
						 unit.table->shards[unit.shard_index].shard_id,
						 planning.node_rows[placement.node], planning.node_rows[moves[i].target]});
	}
	plan.sizes = planning.sizes;
	return plan;
}

} // namespace civitas::cluster
