/*
 * results.cpp: who frees a PGresult.
 *
 * libpq's results are malloc'ed, errors are longjmps: own() ties a result to a memory context. Each
 * context that owns results has one pool, registered once as its reset callback; the pool's memory
 * is the context's own. release() looks into the pools from the most recently used one, newest
 * result first: in practice the first hit.
 */
#include "civitas/pg/server.h"

#include "session_state.h"

namespace civitas::remote {

namespace {

/* The results of one memory context. */
struct ResultPool
{
	MemoryContextCallback callback;
	ResultPool *next;
	MemoryContext context;
	PGresult **results;
	int count;
	int capacity;
};
CIVITAS_SERVER_STATE(ResultPool);

ResultPool *pools; /* most recently used first */

void clear_pool(void *argument)
{
	ResultPool *pool = static_cast<ResultPool *>(argument);
	for (int i = 0; i < pool->count; i++)
		PQclear(pool->results[i]);
	for (ResultPool **link = &pools; *link != nullptr; link = &(*link)->next)
	{
		if (*link == pool)
		{
			*link = pool->next;
			break;
		}
	}
}

ResultPool *find_pool(MemoryContext context)
{
	for (ResultPool **link = &pools; *link != nullptr; link = &(*link)->next)
	{
		ResultPool *pool = *link;
		if (pool->context == context)
		{
			*link = pool->next;
			pool->next = pools;
			pools = pool;
			return pool;
		}
	}
	return nullptr;
}

/* Room for one more result; false where memory is out. */
bool make_room(MemoryContext context, ResultPool **out)
{
	ResultPool *pool = find_pool(context);
	if (pool == nullptr)
	{
		pool = static_cast<ResultPool *>(MemoryContextAllocExtended(
			context, sizeof(ResultPool), MCXT_ALLOC_NO_OOM | MCXT_ALLOC_ZERO));
		if (pool == nullptr)
			return false;
		pool->context = context;
		pool->callback.func = clear_pool;
		pool->callback.arg = pool;
		MemoryContextRegisterResetCallback(context, &pool->callback);
		pool->next = pools;
		pools = pool;
	}
	if (pool->count == pool->capacity)
	{
		const int capacity = pool->capacity == 0 ? 4 : pool->capacity * 2;
		PGresult **results = static_cast<PGresult **>(
			MemoryContextAllocExtended(context, sizeof(PGresult *) * capacity, MCXT_ALLOC_NO_OOM));
		if (results == nullptr)
			return false;
		if (pool->count > 0)
		{
			memcpy(results, pool->results, sizeof(PGresult *) * pool->count);
			pfree(pool->results);
		}
		pool->results = results;
		pool->capacity = capacity;
	}
	*out = pool;
	return true;
}

} // namespace

PGresult *own(PGresult *result, MemoryContext context)
{
	if (result == nullptr)
		return nullptr;
	ResultPool *pool;
	if (!make_room(context, &pool))
	{
		PQclear(result);
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	}
	pool->results[pool->count++] = result;
	return result;
}

void release(PGresult *result)
{
	for (ResultPool *pool = pools; result != nullptr && pool != nullptr; pool = pool->next)
	{
		for (int i = pool->count - 1; i >= 0; i--)
		{
			if (pool->results[i] == result)
			{
				pool->results[i] = pool->results[--pool->count];
				PQclear(result);
				return;
			}
		}
	}
	PQclear(result);
}

} // namespace civitas::remote
