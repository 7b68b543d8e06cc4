/*
 * row_counts.cpp: have the targets got everything?
 *
 * Rows are counted where they pass, at no cost: the source's COPY says how many it sent, that of
 * the target how many it wrote; a source that sends a part of its rows counts those that it looked
 * at (is_in_hash_range()). The stream of changes is read by every target's node to the end, so each
 * knows what was inserted into and deleted from all of the source's table after its own snapshot.
 * For each source, when writes have stopped:
 *
 *   looked at + told inserts - told deletes        says how many rows the source has now: the same
 *                                                  number for each target, whatever its snapshot
 *   sum of targets (taken + inserts - deletes)     must be that number
 *   told updates                                   each was carried out by one of the targets
 *
 * A row whose hash is in none of the targets' ranges, one that a trigger swallows, a function that
 * does not do the same on every node, a bug: any of these is a difference.
 */
#include "transfer.h"

#include "civitas/catalog/tables.h"

CIVITAS_PG_BEGIN
#include "catalog/pg_class.h"
#include "utils/lsyscache.h"
CIVITAS_PG_END

#include <cstdlib>

namespace civitas::cluster {

namespace {

struct Counted
{
	const ShardTransfer *transfer;
	const RowCount *count;
};

bool same_source(const ShardTransfer& one, const ShardTransfer& other)
{
	return one.relid == other.relid && one.source_shard == other.source_shard &&
		   one.source.group_id == other.source.group_id;
}

/* Those of one source together, in these those of one target. */
int compare_counted(const void *one, const void *other)
{
	const ShardTransfer& a = *static_cast<const Counted *>(one)->transfer;
	const ShardTransfer& b = *static_cast<const Counted *>(other)->transfer;
	const auto compare = [](auto x, auto y) { return x < y ? -1 : x > y ? 1 : 0; };
	if (const int order = compare(a.relid, b.relid))
		return order;
	if (const int order = compare(a.source_shard, b.source_shard))
		return order;
	if (const int order = compare(a.source.group_id, b.source.group_id))
		return order;
	if (const int order = compare(a.target_shard, b.target_shard))
		return order;
	return compare(a.target.group_id, b.target.group_id);
}

[[noreturn]] void raise_difference(const ShardTransfer& transfer, const char *detail)
{
	ereport(
		ERROR,
		(errcode(ERRCODE_DATA_CORRUPTED),
		 errmsg("rows of table \"%s\" would get lost or come twice", get_rel_name(transfer.relid)),
		 errdetail_internal("%s", detail),
		 errhint("Nothing was changed: what was to be copied stays in use. Look for triggers of "
				 "the table, and functions of its distribution column's type, that do not do "
				 "the same on every node.")));
}

int64 rows_there(const RowCount& count)
{
	return count.looked_at + count.told_inserts - count.told_deletes;
}

int64 rows_here(const RowCount& count)
{
	return count.taken + count.inserts - count.deletes;
}

/* Each transfer on its own. */
void check_copy(const Counted& one)
{
	const ShardTransfer& transfer = *one.transfer;
	if (one.count->sent != one.count->taken)
		raise_difference(
			transfer, psprintf("Node %s:%d sent " INT64_FORMAT " rows of %s, of which node %s:%d "
							   "wrote " INT64_FORMAT ".",
							   transfer.source.name, transfer.source.port, one.count->sent,
							   source_name(transfer), transfer.target.name, transfer.target.port,
							   one.count->taken));
}

/* All transfers of one source. Replicas of a target must hold the same number of rows. */
void check_source(std::span<const Counted> all)
{
	const ShardTransfer& first = *all[0].transfer;
	const int64 expected = rows_there(*all[0].count);
	int64 found = 0;
	int64 updates = 0;
	bool one_node = true;
	for (size_t i = 0; i < all.size(); i++)
	{
		check_copy(all[i]);
		const bool replica =
			i > 0 && all[i].transfer->target_shard == all[i - 1].transfer->target_shard;
		one_node = one_node && all[i].transfer->target.group_id == first.target.group_id;
		if (rows_there(*all[i].count) != expected ||
			(replica && rows_here(*all[i].count) != rows_here(*all[i - 1].count)))
			raise_difference(first,
							 psprintf("Node %s:%d holds " INT64_FORMAT " of " INT64_FORMAT
									  " rows of %s, another node was told of " INT64_FORMAT ".",
									  all[i].transfer->target.name, all[i].transfer->target.port,
									  rows_here(*all[i].count), rows_there(*all[i].count),
									  source_name(first), expected));
		found += replica ? 0 : rows_here(*all[i].count);
		updates += all[i].count->updates;
	}
	if (found != expected)
		raise_difference(first, psprintf("%s on node %s:%d has " INT64_FORMAT
										 " rows, what is to take its place has " INT64_FORMAT ".",
										 source_name(first), first.source.name, first.source.port,
										 expected, found));
	/* Streams to several nodes begin at different moments, and tell of different updates. */
	if (one_node && updates != all[0].count->told_updates)
		raise_difference(first, psprintf(INT64_FORMAT " rows of %s on node %s:%d were updated, "
													  "of which " INT64_FORMAT " followed.",
										 all[0].count->told_updates, source_name(first),
										 first.source.name, first.source.port, updates));
}

} // namespace

const char *read_counts(const char *array, int64 *first, int count)
{
	for (int i = 0; i < count; i++)
	{
		if (array == nullptr || *array == '\0' || *array == '}')
			ereport(ERROR, (errcode(ERRCODE_PROTOCOL_VIOLATION),
							errmsg("a node did not say how many rows it has taken")));
		char *end;
		first[i] = strtoll(array + 1, &end, 10);
		array = end;
	}
	return array;
}

void check_row_counts(Transfers transfers, std::span<const RowCount> counts)
{
	pg::Vec<Counted> all;
	for (size_t i = 0; i < transfers.size(); i++)
		if (get_rel_relkind(transfers[i].relid) != RELKIND_PARTITIONED_TABLE)
			all.push({&transfers[i], &counts[i]});
	if (!all.empty())
		qsort(all.data(), all.size(), sizeof(Counted), compare_counted);
	for (int first = 0; first < all.size();)
	{
		int end = first + 1;
		/* Without a cut every target has all rows. */
		while (end < all.size() && all[first].transfer->cut.column != nullptr &&
			   same_source(*all[first].transfer, *all[end].transfer))
			end++;
		check_source({all.data() + first, static_cast<size_t>(end - first)});
		first = end;
	}
}

} // namespace civitas::cluster
