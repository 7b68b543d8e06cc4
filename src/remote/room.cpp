/*
 * room.cpp: how many sessions this server has to each node, over all its backends, and waiting for
 * room.
 *
 * Shared memory has a place for each (host, port) with the number of sessions to it, and for each
 * process which places it has sessions to and which one it waits for. A session takes room before
 * it connects and gives it back when it is closed, or when its process ends; a crash starts the
 * server's shared memory anew.
 *
 *     optional session   no room, or somebody waits: not opened
 *     required session   waits. Idle processes that keep sessions to that node are asked to look
 *                        at their cache: the signal for "catch up with invalidations" makes an
 *                        idle process run an empty transaction, at whose end txn trims the cache
 *
 * Whoever waits may itself hold what others wait for. So a waiter looks whether anyone can
 * go on at all (everyone who does not wait can, and gives room to those who wait for it, and so
 * on, while those who wait give up the sessions that they only keep); if that does not reach
 * itself, it goes over the limit rather than wait for ever. Waits that
 * go through locks are not seen that way: a transaction that is open on some node waits
 * HOLDING_PATIENCE at most. Processes that serve other nodes or the background never wait.
 */
#include "civitas/pg/server.h"

#include "session_state.h"

#include "civitas/pg/clock.h"
#include "civitas/pg/compat.h"
#include "civitas/pg/shared_memory.h"

CIVITAS_PG_BEGIN
#include "access/twophase.h"
#include "commands/dbcommands.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/condition_variable.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/wait_event.h"
CIVITAS_PG_END

#include <climits>

namespace civitas::remote {

bool (*is_this_server_hook)(const Endpoint& endpoint);

namespace {

int max_shared_pool_size;
int local_shared_pool_size;

/* Nodes beyond this number are not counted. */
constexpr int MAX_PLACES = 512;
constexpr int WORDS = MAX_PLACES / 64;
constexpr int MAX_USES = 2 * MAX_PLACES;
/* ms between two looks of a waiter. */
constexpr long LOOK_INTERVAL = 100;
/* ms that a process waits while it holds other sessions. */
constexpr int HOLDING_PATIENCE = 10000;
/* A kept session is not given up for others before it is this old (ms): a connect costs more than
 * most transactions. */
constexpr int LEAST_AGE = 100;

struct Place
{
	char host[256];
	int32 port;
	int32 sessions;
	int32 waiters;
};

/* Sessions of one database to a place: for people who look. */
struct DatabaseUse
{
	Oid database;
	int32 place;
	int32 sessions; /* 0: free for another */
};

struct Holder
{
	int pid; /* 0: none */
	int signal_number;
	int waiting_for; /* place, or -1 */
	uint64 holds[WORDS];
	uint64 uses[WORDS]; /* while it waits: those among them that it needs itself */
};

struct SharedRoom
{
	LWLock *lock;
	ConditionVariable freed;
	pg_atomic_uint32 waiters; /* of all places: a cheap look for those who keep sessions */
	int place_count;		  /* used so far */
	int holder_count;
	Place places[MAX_PLACES];
	DatabaseUse uses[MAX_USES];
	Holder holders[FLEXIBLE_ARRAY_MEMBER]; /* by process slot */
};

SharedRoom *shared;
int own_sessions[MAX_PLACES]; /* of this process */
bool exit_callback_registered;

constexpr const char LOCK_NAME[] = "civitas session room";

/* --- shared memory --------------------------------------------------------------------------- */

int holders_needed()
{
	return MaxBackends + NUM_AUXILIARY_PROCS + max_prepared_xacts;
}

Size shared_size()
{
	return add_size(offsetof(SharedRoom, holders), mul_size(sizeof(Holder), holders_needed()));
}

void attach()
{
	bool fresh;
	shared =
		static_cast<SharedRoom *>(pg::shared_struct("civitas session room", shared_size(), &fresh));
	if (!fresh)
		return;
	shared->lock = pg::shared_lock(LOCK_NAME);
	ConditionVariableInit(&shared->freed);
	pg_atomic_init_u32(&shared->waiters, 0);
	shared->holder_count = holders_needed();
	for (int i = 0; i < shared->holder_count; i++)
		shared->holders[i].waiting_for = -1;
}

pg::SharedMemory memory = {shared_size, attach, LOCK_NAME, nullptr};

Holder& myself()
{
	return shared->holders[pg::backend_slot()];
}

bool holds(const Holder& holder, int place)
{
	return (holder.holds[place / 64] >> (place % 64) & 1) != 0;
}

/* --- with the lock held ----------------------------------------------------------------------- */

/* The place of an endpoint, made if there is none; -1 where all are in use. */
int find_place(const Endpoint& endpoint)
{
	int unused = -1;
	for (int i = 0; i < shared->place_count; i++)
	{
		const Place& place = shared->places[i];
		if (place.port == endpoint.port && strcmp(place.host, endpoint.host) == 0)
			return i;
		if (unused < 0 && place.sessions == 0 && place.waiters == 0)
			unused = i;
	}
	if (shared->place_count < MAX_PLACES)
		unused = shared->place_count++;
	if (unused < 0 || strlen(endpoint.host) >= sizeof(Place::host))
		return -1;
	Place& place = shared->places[unused];
	strlcpy(place.host, endpoint.host, sizeof(place.host));
	place.port = endpoint.port;
	place.sessions = 0;
	place.waiters = 0;
	return unused;
}

void count_use(int place, int32 difference)
{
	DatabaseUse *unused = nullptr;
	for (DatabaseUse& use : shared->uses)
	{
		if (use.sessions > 0 && use.database == MyDatabaseId && use.place == place)
		{
			use.sessions += difference;
			return;
		}
		if (use.sessions == 0 && unused == nullptr)
			unused = &use;
	}
	if (unused != nullptr && difference > 0)
		*unused = {MyDatabaseId, place, difference};
}

void take(int place)
{
	Holder& me = myself();
	shared->places[place].sessions++;
	count_use(place, 1);
	own_sessions[place]++;
	me.pid = MyProcPid;
	me.signal_number = pg::signal_number();
	me.holds[place / 64] |= UINT64CONST(1) << (place % 64);
}

void set_waiting(int place)
{
	Holder& me = myself();
	if (me.waiting_for >= 0)
	{
		shared->places[me.waiting_for].waiters--;
		pg_atomic_fetch_sub_u32(&shared->waiters, 1);
	}
	me.pid = MyProcPid;
	me.waiting_for = place;
	if (place >= 0)
	{
		shared->places[place].waiters++;
		pg_atomic_fetch_add_u32(&shared->waiters, 1);
	}
}

/* Without the lock: an old value does no harm, who waits looks again. */
bool place_has_waiters(int place)
{
	return static_cast<volatile Place *>(shared->places)[place].waiters > 0;
}

bool has_room(int place, int limit)
{
	return limit < 0 || shared->places[place].sessions < limit;
}

/* Whether this waiter is out of reach of everyone who can go on, if those who wait give up the
 * sessions that they do not need (`generous`) or keep them. `reached` has a flag a process. */
bool waits_in_circle(bool *reached, bool generous)
{
	uint64 freed[WORDS] = {};
	for (int i = 0; i < shared->holder_count; i++)
	{
		const Holder& holder = shared->holders[i];
		reached[i] = holder.pid != 0 && holder.waiting_for < 0;
		for (int word = 0; holder.pid != 0 && word < WORDS; word++)
			freed[word] |= reached[i] ? holder.holds[word]
						   : generous ? holder.holds[word] & ~holder.uses[word]
									  : 0;
	}
	for (bool changed = true; changed;)
	{
		changed = false;
		for (int i = 0; i < shared->holder_count; i++)
		{
			const int place = shared->holders[i].waiting_for;
			if (reached[i] || place < 0 || (freed[place / 64] >> (place % 64) & 1) == 0)
				continue;
			reached[i] = changed = true;
			for (int word = 0; word < WORDS; word++)
				freed[word] |= shared->holders[i].holds[word];
		}
	}
	return !reached[pg::backend_slot()];
}

/* --- waiting --------------------------------------------------------------------------------- */

/* Asks those who hold sessions to the place, and do not wait themselves, to look at their cache. */
void ask_for_room(int place)
{
	struct Target
	{
		int pid;
		int signal_number;
	};
	Target *targets = static_cast<Target *>(palloc(sizeof(Target) * shared->holder_count));
	int count = 0;
	LWLockAcquire(shared->lock, LW_SHARED);
	for (int i = 0; i < shared->holder_count; i++)
	{
		const Holder& holder = shared->holders[i];
		if (holder.pid != 0 && holder.pid != MyProcPid && holder.waiting_for < 0 &&
			holds(holder, place))
			targets[count++] = {holder.pid, holder.signal_number};
	}
	LWLockRelease(shared->lock);
	for (int i = 0; i < count; i++)
		pg::ask_to_catch_up(targets[i].pid, targets[i].signal_number);
	pfree(targets);
}

bool is_idle(const Session *session)
{
	return !session->claimed && !session->busy &&
		   (session->state == SessionState::Failed ||
			(session->state == SessionState::Connected &&
			 PQtransactionStatus(session->conn) == PQTRANS_IDLE));
}

/* With the lock held. */
void publish_uses()
{
	Holder& me = myself();
	memset(me.uses, 0, sizeof(me.uses));
	for_each_session(
		[](Session *session, void *argument) {
			if (session->place >= 0 && !is_idle(session))
				static_cast<Holder *>(argument)->uses[session->place / 64] |=
					UINT64CONST(1) << (session->place % 64);
		},
		&me);
}

/* Own sessions that nothing uses: to this place (of another user or database), and to places that
 * others wait for; `all`: however young. */
void close_idle_sessions(int place, bool all)
{
	struct Search
	{
		int place;
		bool all;
	} search = {place, all};
	for_each_session(
		[](Session *session, void *argument) {
			if (session->place < 0 || !is_idle(session))
				return;
			const Search *wanted = static_cast<const Search *>(argument);
			if (session->place == wanted->place || wanted_by_others(session) ||
				(wanted->all && place_has_waiters(session->place)))
				close(session);
		},
		&search);
}

/* Whether this process is in a transaction on some node: it may hold locks there. */
bool in_remote_transaction()
{
	bool found = false;
	for_each_session(
		[](Session *session, void *argument) {
			if (session->state == SessionState::Connected &&
				PQtransactionStatus(session->conn) != PQTRANS_IDLE)
				*static_cast<bool *>(argument) = true;
		},
		&found);
	return found;
}

void wait_for_room(int place, int limit)
{
	const bool holding = in_remote_transaction();
	const TimestampTz start = pg::monotonic_now();
	bool *reached = static_cast<bool *>(palloc(sizeof(bool) * shared->holder_count));
	ConditionVariablePrepareToSleep(&shared->freed);
	for (;;)
	{
		LWLockAcquire(shared->lock, LW_EXCLUSIVE);
		const bool room = has_room(place, limit);
		const TimestampTz now = pg::monotonic_now();
		publish_uses();
		const bool circle = !room && waits_in_circle(reached, false);
		if (room || (circle && waits_in_circle(reached, true)) ||
			(holding && TimestampDifferenceExceeds(start, now, HOLDING_PATIENCE)))
		{
			take(place);
			set_waiting(-1);
			LWLockRelease(shared->lock);
			if (!room)
				ereport(DEBUG1, (errmsg("a session goes over citus.max_shared_pool_size, because "
										"those that wait for it hold others up")));
			break;
		}
		LWLockRelease(shared->lock);
		close_idle_sessions(place, circle);
		ask_for_room(place);
		ConditionVariableTimedSleep(&shared->freed, LOOK_INTERVAL, PG_WAIT_EXTENSION);
		check_interrupts();
	}
	ConditionVariableCancelSleep();
	pfree(reached);
}

/* The process ends: whatever it still has is given back. */
void leave(int code, Datum argument)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	set_waiting(-1);
	for (int i = 0; i < MAX_PLACES; i++)
	{
		if (own_sessions[i] == 0)
			continue;
		shared->places[i].sessions -= own_sessions[i];
		count_use(i, -own_sessions[i]);
		own_sessions[i] = 0;
	}
	Holder& me = myself();
	me.pid = 0;
	memset(me.holds, 0, sizeof(me.holds));
	LWLockRelease(shared->lock);
	ConditionVariableBroadcast(&shared->freed);
}

/* Only clients' own backends wait: what other nodes and the background do must go on. */
bool may_wait()
{
	return MyBackendType == B_BACKEND &&
		   strncmp(application_name, "citus_internal ", strlen("citus_internal ")) != 0;
}

int limit_of(const Endpoint& endpoint)
{
	if (is_this_server_hook != nullptr && is_this_server_hook(endpoint))
		return local_shared_pool_size == 0 ? (MaxConnections + 1) / 2 : local_shared_pool_size;
	return max_shared_pool_size == 0 ? MaxConnections : max_shared_pool_size;
}

} // namespace

Room take_room(const Endpoint& endpoint, bool required, int *place)
{
	*place = -1;
	if (!exit_callback_registered)
	{
		on_shmem_exit(leave, 0);
		exit_callback_registered = true;
	}
	const int limit = limit_of(endpoint);
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	const int found = find_place(endpoint);
	if (found < 0)
	{
		LWLockRelease(shared->lock);
		return Room::Taken;
	}
	if (required ? has_room(found, limit) || !may_wait()
				 : has_room(found, limit) && shared->places[found].waiters == 0)
	{
		take(found);
		LWLockRelease(shared->lock);
		*place = found;
		return Room::Taken;
	}
	LWLockRelease(shared->lock);
	*place = found;
	return Room::None;
}

void wait_for_room(const Endpoint& endpoint, int place)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	set_waiting(place);
	LWLockRelease(shared->lock);
	PG_TRY();
	{
		wait_for_room(place, limit_of(endpoint));
	}
	PG_CATCH();
	{
		ConditionVariableCancelSleep();
		LWLockAcquire(shared->lock, LW_EXCLUSIVE);
		set_waiting(-1);
		LWLockRelease(shared->lock);
		PG_RE_THROW();
	}
	PG_END_TRY();
}

void give_room_back(int place)
{
	if (place < 0 || own_sessions[place] == 0)
		return;
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->places[place].sessions--;
	count_use(place, -1);
	if (--own_sessions[place] == 0)
		myself().holds[place / 64] &= ~(UINT64CONST(1) << (place % 64));
	const bool wanted = shared->places[place].waiters > 0;
	LWLockRelease(shared->lock);
	if (wanted)
		ConditionVariableBroadcast(&shared->freed);
}

bool wanted_by_others(const Session *session)
{
	if (session->place < 0 || pg_atomic_read_u32(&shared->waiters) == 0)
		return false;
	return place_has_waiters(session->place) &&
		   TimestampDifferenceExceeds(session->connected_at, GetCurrentTimestamp(), LEAST_AGE);
}

void room_init()
{
	DefineCustomIntVariable(
		"citus.max_shared_pool_size",
		"Most sessions that all backends of this server together have to a node.",
		"0 means as many as max_connections, -1 no limit. What a statement needs waits for room; "
		"what would only make it faster is not opened.",
		&max_shared_pool_size, 0, -1, INT_MAX, PGC_SIGHUP, 0, nullptr, nullptr, nullptr);
	DefineCustomIntVariable(
		"citus.local_shared_pool_size",
		"Most sessions that all backends of this server together have to this very server.",
		"0 means half of max_connections, -1 no limit. Shards on this node are read and written "
		"without a session, so few places open any.",
		&local_shared_pool_size, 0, -1, INT_MAX, PGC_SIGHUP, 0, nullptr, nullptr, nullptr);
	pg::use_shared_memory(&memory);
}

} // namespace civitas::remote

CIVITAS_PG_BEGIN
PG_FUNCTION_INFO_V1(citus_remote_connection_stats);

PGDLLEXPORT Datum citus_remote_connection_stats(PG_FUNCTION_ARGS)
{
	using namespace civitas::remote;
	InitMaterializedSRF(fcinfo, 0);
	const ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
	SharedRoom *copy = static_cast<SharedRoom *>(palloc(offsetof(SharedRoom, holders)));
	LWLockAcquire(shared->lock, LW_SHARED);
	memcpy(copy, shared, offsetof(SharedRoom, holders));
	LWLockRelease(shared->lock);
	for (const DatabaseUse& use : copy->uses)
	{
		char *database = use.sessions > 0 ? get_database_name(use.database) : nullptr;
		if (database == nullptr)
			continue;
		const Place& place = copy->places[use.place];
		Datum values[] = {CStringGetTextDatum(place.host), Int32GetDatum(place.port),
						  CStringGetTextDatum(database), Int32GetDatum(use.sessions)};
		bool nulls[4] = {};
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return static_cast<Datum>(0);
}
CIVITAS_PG_END
