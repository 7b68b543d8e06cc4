/*
 * progress.cpp: running transfers, in shared memory.
 *
 * An entry for each shard that a backend is transferring; the backend writes, everybody reads.
 * Sizes and positions are not kept here: whoever asks gets them from the nodes (sql/moves.sql). An
 * entry goes away with the operation, with its backend at the latest.
 */
#include "progress.h"
#include "civitas/pg/shared_memory.h"

CIVITAS_PG_BEGIN
#include "funcapi.h"
#include "storage/ipc.h"
#include "storage/spin.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"
CIVITAS_PG_END

namespace civitas::cluster {

namespace {

constexpr int MAX_ENTRIES = 512;
constexpr int MAX_TYPE = 16;

struct Entry
{
	int pid; /* 0: free */
	Oid database;
	Oid relid;
	ShardId source_shard;
	ShardId target_shard;
	NodeId source_node;
	NodeId target_node;
	GroupId source_group;
	GroupId target_group;
	Phase phase;
	char type[MAX_TYPE];
	char slot[NAMEDATALEN]; /* empty: none */
};

struct SharedProgress
{
	slock_t mutex;
	Entry entries[MAX_ENTRIES];
};

SharedProgress *shared;
bool exit_callback_registered = false;

Size shared_size()
{
	return sizeof(SharedProgress);
}

void attach()
{
	bool fresh;
	shared =
		static_cast<SharedProgress *>(pg::shared_struct("civitas progress", shared_size(), &fresh));
	if (!fresh)
		return;
	SpinLockInit(&shared->mutex);
}

pg::SharedMemory memory = {shared_size, attach, nullptr, nullptr};

/* Calls change(entry) for each entry of this backend. */
template <typename Change> void change_own(Change&& change)
{
	SpinLockAcquire(&shared->mutex);
	for (Entry& entry : shared->entries)
		if (entry.pid == MyProcPid)
			change(entry);
	SpinLockRelease(&shared->mutex);
}

void forget_at_exit(int, Datum)
{
	end_progress();
}

Entry make_entry(const ShardTransfer& transfer, const char *type)
{
	Entry entry = {};
	entry.pid = MyProcPid;
	entry.database = MyDatabaseId;
	entry.relid = transfer.relid;
	entry.source_shard = transfer.source_shard;
	entry.target_shard = transfer.target_shard;
	entry.source_node = transfer.source.node_id;
	entry.target_node = transfer.target.node_id;
	entry.source_group = transfer.source.group_id;
	entry.target_group = transfer.target.group_id;
	strlcpy(entry.type, type, sizeof(entry.type));
	return entry;
}

const char *phase_name(Phase phase)
{
	static constexpr const char *NAMES[] = {"Setting Up",  "Copying Data",	"Creating Constraints",
											"Catching Up", "Final Catchup", "Creating Foreign Keys",
											"Completing"};
	return NAMES[static_cast<int>(phase)];
}

} // namespace

void begin_progress(Transfers transfers, const char *type)
{
	if (!exit_callback_registered)
	{
		before_shmem_exit(forget_at_exit, 0);
		exit_callback_registered = true;
	}
	end_progress();
	for (const ShardTransfer& transfer : transfers)
	{
		const Entry entry = make_entry(transfer, type);
		SpinLockAcquire(&shared->mutex);
		for (Entry& place : shared->entries)
			if (place.pid == 0)
			{
				place = entry;
				break;
			}
		SpinLockRelease(&shared->mutex);
	}
}

void set_phase(Phase phase)
{
	change_own([&](Entry& entry) { entry.phase = phase; });
}

void set_progress_slot(GroupId source, GroupId target, const char *slot)
{
	change_own([&](Entry& entry) {
		if (entry.source_group == source && entry.target_group == target)
			strlcpy(entry.slot, slot, sizeof(entry.slot));
	});
}

void end_progress()
{
	change_own([](Entry& entry) { entry.pid = 0; });
}

void progress_init()
{
	pg::use_shared_memory(&memory);
}

CIVITAS_PG_BEGIN

/* running_transfers(): the entries of this database. */
PG_FUNCTION_INFO_V1(citus_internal_running_transfers);
PGDLLEXPORT Datum citus_internal_running_transfers(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, 0);
	auto *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
	auto *copy = static_cast<Entry *>(palloc(sizeof(Entry) * MAX_ENTRIES));
	SpinLockAcquire(&shared->mutex);
	memcpy(copy, shared->entries, sizeof(Entry) * MAX_ENTRIES);
	SpinLockRelease(&shared->mutex);
	for (int i = 0; i < MAX_ENTRIES; i++)
	{
		const Entry& entry = copy[i];
		if (entry.pid == 0 || entry.database != MyDatabaseId)
			continue;
		Datum values[] = {
			Int32GetDatum(entry.pid),		   ObjectIdGetDatum(entry.relid),
			Int64GetDatum(entry.source_shard), Int64GetDatum(entry.target_shard),
			Int32GetDatum(entry.source_node),  Int32GetDatum(entry.target_node),
			CStringGetTextDatum(entry.type),   CStringGetTextDatum(phase_name(entry.phase)),
			CStringGetTextDatum(entry.slot)};
		bool nulls[] = {
			false, false, false, false, false, false, false, false, entry.slot[0] == '\0'};
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	PG_RETURN_NULL();
}

CIVITAS_PG_END

} // namespace civitas::cluster
