/*
 * jobs.h: what the makers and the runners of background jobs share.
 */
#pragma once

#include "civitas/pg/server.h"

CIVITAS_PG_BEGIN
#include "storage/lock.h"
CIVITAS_PG_END

namespace civitas::cluster {

/* Locks of this database that belong to no relation; advisory locks in a space of their own. */
enum class JobLock : uint32
{
	Rebalance =
		1, /* one at a time, in the foreground or being scheduled; until the transaction's end */
	Queue = 2, /* held by the process that starts tasks */
	Task = 3   /* held by the process that runs a task; `which` is its id */
};

inline LOCKTAG job_lock_tag(JobLock lock, int64 which = 0)
{
	constexpr uint16 SPACE = 0xC1;
	LOCKTAG tag;
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, static_cast<uint32>(lock), static_cast<uint32>(which),
						 SPACE);
	return tag;
}

/* Runs SQL on the catalogs of jobs as the bootstrap superuser, in this transaction, with
 * search_path = pg_catalog. Rows that other transactions committed are seen in every isolation
 * level if `latest` (the SQL may only read then). The first column's texts, as pg::sql_texts()
 * gives them. */
List *job_sql(const char *sql, bool latest = false);

/* Called at the commit of a transaction that changed jobs or tasks; set by the daemon. */
extern void (*jobs_changed_hook)();

} // namespace civitas::cluster
