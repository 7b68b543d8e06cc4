/*
 * disk_space.cpp: room on the disk of a target.
 *
 * What is asked for is the size of the source placements with indexes and TOAST, at most an
 * estimate of what the target will need; the free space is that of the data directory's file
 * system.
 */
#include "disk_space.h"

#include "civitas/catalog/nodes.h"

CIVITAS_PG_BEGIN
#include "access/htup_details.h"
#include "funcapi.h"
#include "utils/guc.h"
CIVITAS_PG_END

#include <cerrno>
#include <cstdlib>
#include <sys/statvfs.h>

namespace civitas::cluster {

namespace {

double desired_percent_available;

int64 ask_number(const catalog::Node& node, const char *sql)
{
	return strtoll(run_as_owner_on_node(node, sql), nullptr, 10);
}

/* Bytes of the source placements on one node whose copies go to one target. */
char *size_sql(Transfers transfers, GroupId source, GroupId target)
{
	pg::Str sql;
	for (const ShardTransfer& transfer : transfers)
		if (transfer.source.group_id == source && transfer.target.group_id == target)
		{
			sql.raw(sql.empty() ? "SELECT (" : " + ");
			sql.raw("pg_catalog.pg_total_relation_size(").literal(source_name(transfer));
			sql.raw(psprintf(") * %.9f", transfer.share));
		}
	return sql.raw(")::bigint").c_str();
}

/* Whether an earlier transfer has the same value of what `key` reads. */
template <typename Key> bool seen_before(Transfers transfers, size_t index, Key key)
{
	for (size_t i = 0; i < index; i++)
		if (key(transfers[i]) == key(transfers[index]))
			return true;
	return false;
}

void check_target(Transfers transfers, const catalog::Node& target)
{
	int64 needed = 0;
	for (size_t i = 0; i < transfers.size(); i++)
		if (transfers[i].target.group_id == target.group_id &&
			!seen_before(transfers, i, [](const ShardTransfer& transfer) {
				return (static_cast<int64>(transfer.source.group_id) << 32) +
					   transfer.target.group_id;
			}))
			needed +=
				ask_number(transfers[i].source,
						   size_sql(transfers, transfers[i].source.group_id, target.group_id));
	const int64 available = ask_number(
		target, "SELECT available_disk_size FROM pg_catalog.citus_local_disk_space_stats()");
	const int64 total =
		ask_number(target, "SELECT total_disk_size FROM pg_catalog.citus_local_disk_space_stats()");
	if (static_cast<double>(available - needed) >=
		static_cast<double>(total) * desired_percent_available / 100)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DISK_FULL),
			 errmsg("not enough disk space on node %s:%d", target.name, target.port),
			 errdetail("The shards take " INT64_FORMAT " bytes; " INT64_FORMAT " of " INT64_FORMAT
					   " bytes are available, and %g percent must stay so.",
					   needed, available, total, desired_percent_available),
			 errhint("Make room, or lower citus.desired_percent_disk_available_after_move.")));
}

} // namespace

void check_disk_space(Transfers transfers)
{
	if (desired_percent_available <= 0)
		return;
	for (size_t i = 0; i < transfers.size(); i++)
		if (!seen_before(transfers, i,
						 [](const ShardTransfer& transfer) { return transfer.target.group_id; }))
			check_target(transfers, transfers[i].target);
}

void disk_space_init()
{
	DefineCustomRealVariable(
		"citus.desired_percent_disk_available_after_move",
		"How much of a node's disk must still be available after a shard has moved to it.",
		"In percent. A move that would leave less is refused; 0 turns the check off.",
		&desired_percent_available, 10, 0, 100, PGC_SIGHUP, 0, nullptr, nullptr, nullptr);
}

CIVITAS_PG_BEGIN

PG_FUNCTION_INFO_V1(citus_local_disk_space_stats);
PGDLLEXPORT Datum citus_local_disk_space_stats(PG_FUNCTION_ARGS)
{
	struct statvfs file_system;
	if (statvfs(DataDir, &file_system) != 0)
		ereport(ERROR, (errcode_for_file_access(), errmsg("could not ask for disk space: %m")));
	TupleDesc descriptor;
	if (get_call_result_type(fcinfo, nullptr, &descriptor) != TYPEFUNC_COMPOSITE)
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("return type must be a row type")));
	const auto block = static_cast<int64>(file_system.f_frsize);
	Datum values[] = {Int64GetDatum(static_cast<int64>(file_system.f_bavail) * block),
					  Int64GetDatum(static_cast<int64>(file_system.f_blocks) * block)};
	bool nulls[] = {false, false};
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls)));
}

CIVITAS_PG_END

} // namespace civitas::cluster
