/*
 * counters.cpp: citus_stat_counters: what each database's backends did since the last reset.
 *
 * Shared memory has a row of atomic counters for each database that something was counted in; a
 * backend finds its row once. Counting is one atomic addition. The counters start at zero with the
 * server.
 */
#include "civitas/pg/server.h"

#include "civitas/pg/shared_memory.h"
#include "stats_internal.h"

CIVITAS_PG_BEGIN
#include "commands/dbcommands.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/lwlock.h"
#include "utils/guc.h"
#include "utils/timestamp.h"
CIVITAS_PG_END

namespace civitas::stats {

namespace {

enum Counter
{
	Established,
	Failed,
	Reused,
	SingleShard,
	MultiShard,
	COUNTERS
};

/* Databases beyond this number are not counted. */
constexpr int MAX_DATABASES = 256;

struct DatabaseCounters
{
	Oid database; /* InvalidOid: free */
	TimestampTz reset;
	pg_atomic_uint64 values[COUNTERS];
};

struct SharedCounters
{
	LWLock *lock;
	DatabaseCounters databases[MAX_DATABASES];
};

constexpr const char LOCK_NAME[] = "civitas counters";

SharedCounters *shared;
DatabaseCounters *mine;
bool enable_stat_counters;

Size shared_size()
{
	return sizeof(SharedCounters);
}

void attach()
{
	bool fresh;
	shared =
		static_cast<SharedCounters *>(pg::shared_struct("civitas counters", shared_size(), &fresh));
	if (!fresh)
		return;
	shared->lock = pg::shared_lock(LOCK_NAME);
	for (DatabaseCounters& database : shared->databases)
		for (pg_atomic_uint64& value : database.values)
			pg_atomic_init_u64(&value, 0);
}

pg::SharedMemory memory = {shared_size, attach, LOCK_NAME, nullptr};

/* With the lock held: the database's row, or a free one (the last of them); null: neither. */
DatabaseCounters *find_row(Oid database)
{
	DatabaseCounters *unused = nullptr;
	for (DatabaseCounters& row : shared->databases)
	{
		if (row.database == database)
			return &row;
		if (row.database == InvalidOid)
			unused = &row;
	}
	return unused;
}

void clear(DatabaseCounters *row)
{
	for (pg_atomic_uint64& value : row->values)
		pg_atomic_write_u64(&value, 0);
}

/* Rows of databases that are gone become free. In a transaction. */
void forget_dropped_databases()
{
	for (DatabaseCounters& row : shared->databases)
	{
		const Oid database = row.database;
		if (database == InvalidOid || get_database_name(database) != nullptr)
			continue;
		LWLockAcquire(shared->lock, LW_EXCLUSIVE);
		if (row.database == database)
			row.database = InvalidOid;
		LWLockRelease(shared->lock);
	}
}

/* This database's row; null where there is no room. */
DatabaseCounters *own_row()
{
	if (mine != nullptr)
		return mine;
	for (int attempt = 0; mine == nullptr && attempt < 2; attempt++)
	{
		if (attempt > 0)
			forget_dropped_databases();
		LWLockAcquire(shared->lock, LW_EXCLUSIVE);
		mine = find_row(MyDatabaseId);
		if (mine != nullptr && mine->database == InvalidOid)
		{
			clear(mine);
			mine->reset = 0;
			mine->database = MyDatabaseId;
		}
		LWLockRelease(shared->lock);
	}
	return mine;
}

void count(Counter counter)
{
	if (!enable_stat_counters || !OidIsValid(MyDatabaseId))
		return;
	DatabaseCounters *row = own_row();
	if (row != nullptr)
		pg_atomic_fetch_add_u64(&row->values[counter], 1);
}

} // namespace

void count_session(remote::SessionEvent event)
{
	count(event == remote::SessionEvent::Established ? Established
		  : event == remote::SessionEvent::Failed	 ? Failed
													 : Reused);
}

void count_execution(bool multi_shard)
{
	count(multi_shard ? MultiShard : SingleShard);
}

void counters_init()
{
	DefineCustomBoolVariable("citus.enable_stat_counters",
							 "Counts sessions and statements for citus_stat_counters.", nullptr,
							 &enable_stat_counters, false, PGC_SUSET, 0, nullptr, nullptr, nullptr);
	pg::use_shared_memory(&memory);
}

void stats_init()
{
	counters_init();
	statements_init();
}

} // namespace civitas::stats

CIVITAS_PG_BEGIN

/* citus_stat_counters(database): one database's counters, or (0) those of all that have any. */
PG_FUNCTION_INFO_V1(citus_stat_counters);
PGDLLEXPORT Datum citus_stat_counters(PG_FUNCTION_ARGS)
{
	using namespace civitas::stats;
	const Oid wanted = PG_GETARG_OID(0);
	InitMaterializedSRF(fcinfo, 0);
	const ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
	LWLockAcquire(shared->lock, LW_SHARED);
	for (DatabaseCounters& row : shared->databases)
	{
		if (row.database == InvalidOid || (wanted != InvalidOid && row.database != wanted))
			continue;
		Datum values[2 + COUNTERS];
		bool nulls[2 + COUNTERS] = {};
		values[0] = ObjectIdGetDatum(row.database);
		for (int counter = 0; counter < COUNTERS; counter++)
			values[1 + counter] =
				Int64GetDatum(static_cast<int64>(pg_atomic_read_u64(&row.values[counter])));
		values[1 + COUNTERS] = TimestampTzGetDatum(row.reset);
		nulls[1 + COUNTERS] = row.reset == 0;
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	LWLockRelease(shared->lock);
	return static_cast<Datum>(0);
}

/* citus_stat_counters_reset(database): 0 means the current one. */
PG_FUNCTION_INFO_V1(citus_stat_counters_reset);
PGDLLEXPORT Datum citus_stat_counters_reset(PG_FUNCTION_ARGS)
{
	using namespace civitas::stats;
	const Oid argument = PG_GETARG_OID(0);
	const Oid database = OidIsValid(argument) ? argument : MyDatabaseId;
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	DatabaseCounters *row = find_row(database);
	if (row != nullptr && row->database == database)
	{
		clear(row);
		row->reset = GetCurrentTimestamp();
	}
	LWLockRelease(shared->lock);
	PG_RETURN_VOID();
}

CIVITAS_PG_END
