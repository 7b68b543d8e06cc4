/*
 * node_choice.cpp: which server of a group serves a purpose: the one place that knows.
 *
 * Whoever writes, and all that follows what was written (affinity, two-phase commit), goes to the primary. A read may go to a
 * registered secondary, of all that are fresh enough in turn:
 *
 *     citus.use_secondary_nodes = always     every read, of a session that only reads; no secondary: 55000
 *     citus.read_from_secondaries = prefer   statements that are alone, and transactions that say READ ONLY; the primary where
 *                                            no secondary is fresh
 *                                 = always   the same, but never the primary: 55000
 *
 * Each process asks a secondary how far it lags behind, and believes it for a second. One that does not answer is left alone
 * for five. Within a transaction the choice stays the same.
 */
#include "civitas/pg/server.h"

#include "transaction_state.h"

#include "civitas/pg/clock.h"
#include "civitas/pg/subtransaction.h"
#include "civitas/pg/vec.h"

CIVITAS_PG_BEGIN
#include "access/xact.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
CIVITAS_PG_END

#include <climits>

namespace civitas::txn {

namespace {

enum UseSecondaries
{
	USE_NEVER,
	USE_ALWAYS
};
enum ReadFrom
{
	READ_NEVER,
	READ_PREFER,
	READ_ALWAYS
};

const config_enum_entry use_options[] = {
	{"never", USE_NEVER, false}, {"always", USE_ALWAYS, false}, {nullptr, 0, false}};
const config_enum_entry read_options[] = {{"never", READ_NEVER, false},
										  {"prefer", READ_PREFER, false},
										  {"always", READ_ALWAYS, false},
										  {nullptr, 0, false}};

int use_secondary_nodes = USE_NEVER;
int read_from_secondaries = READ_NEVER;
int max_secondary_lag; /* ms */

/* How long an answer is believed, and a server that gave none is left alone, ms. */
constexpr int BELIEVED = 1000;
constexpr int LEFT_ALONE = 5000;
constexpr char ANSWER_TIMEOUT[] = "1000";

/* What is known of a secondary. */
struct Freshness
{
	NodeId node_id;
	TimestampTz until; /* monotonic */
	int64 lag;		   /* ms; -1: unknown */
};
CIVITAS_SERVER_STATE(Freshness);

pg::Vec<Freshness> *known; /* in TopMemoryContext */
uint32 turn;			   /* a transaction's choice */
TimestampTz turn_of;	   /* ... that began then */

Freshness& freshness_of(NodeId id)
{
	if (known == nullptr)
	{
		known = static_cast<pg::Vec<Freshness> *>(
			MemoryContextAlloc(TopMemoryContext, sizeof(pg::Vec<Freshness>)));
		*known = pg::Vec<Freshness>(TopMemoryContext);
	}
	for (Freshness& freshness : *known)
		if (freshness.node_id == id)
			return freshness;
	known->push({id, 0, -1});
	return known->back();
}

int64 ask_lag(const catalog::Node& node)
{
	const remote::Endpoint endpoint = endpoint_of(node);
	remote::Session *session = remote::find_idle(endpoint);
	if (session == nullptr)
		session = remote::connect(endpoint);
	PGresult *result = remote::query(session, "SELECT citus_internal.replay_lag()");
	const int64 lag =
		PQgetisnull(result, 0, 0) ? -1 : strtoll(PQgetvalue(result, 0, 0), nullptr, 10);
	remote::release(result);
	return lag;
}

/* A secondary that does not answer is no error. */
int64 try_lag(const catalog::Node& node, bool *answered)
{
	int64 lag = -1;
	const int level = NewGUCNestLevel();
	set_config_option("citus.node_connection_timeout", ANSWER_TIMEOUT, PGC_USERSET, PGC_S_SESSION,
					  GUC_ACTION_SAVE, true, 0, false);
	ErrorData *error = pg::error_of_subtransaction([&] { lag = ask_lag(node); });
	AtEOXact_GUC(true, level);
	*answered = error == nullptr;
	if (error != nullptr &&
		ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_CONNECTION_EXCEPTION &&
		ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_OPERATOR_INTERVENTION)
		ReThrowError(error);
	if (error != nullptr && error->sqlerrcode == ERRCODE_QUERY_CANCELED)
		ReThrowError(error);
	return error == nullptr ? lag : -1;
}

bool is_fresh(const catalog::Node& node)
{
	const TimestampTz now = pg::monotonic_now();
	if (freshness_of(node.node_id).until < now)
	{
		bool answered;
		const int64 lag = try_lag(node, &answered);
		Freshness& freshness = freshness_of(node.node_id);
		freshness.lag = lag;
		freshness.until = TimestampTzPlusMilliseconds(now, answered ? BELIEVED : LEFT_ALONE);
	}
	const int64 lag = freshness_of(node.node_id).lag;
	return lag >= 0 && lag <= max_secondary_lag;
}

/* The number by which a transaction takes its turn. */
uint32 turn_of_transaction()
{
	if (turn_of != GetCurrentTransactionStartTimestamp())
	{
		turn_of = GetCurrentTransactionStartTimestamp();
		turn++;
	}
	return turn;
}

bool serves_reads(const catalog::Node& node, GroupId group)
{
	return node.group_id == group && node.role == catalog::NodeRole::Secondary && node.is_active &&
		   strcmp(node.cluster, catalog::cluster_name()) == 0;
}

/* null: none. */
const catalog::Node *choose_secondary(GroupId group, bool must_be_fresh)
{
	pg::Vec<const catalog::Node *> choice;
	for (const catalog::Node& node : catalog::all_nodes())
		if (serves_reads(node, group))
			choice.push(&node);
	const uint32 first = choice.empty() ? 0 : turn_of_transaction() % choice.size();
	for (int i = 0; i < choice.size(); i++)
	{
		const catalog::Node *node = choice[static_cast<int>((first + i) % choice.size())];
		if (!must_be_fresh || is_fresh(*node))
			return node;
	}
	return nullptr;
}

[[noreturn]] void raise_no_secondary(GroupId group)
{
	ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg("node group %d has no secondary to read from", group),
					errdetail("None is active in cluster \"%s\", or all lag behind by more than "
							  "citus.max_secondary_lag (%d ms).",
							  catalog::cluster_name(), max_secondary_lag)));
}

} // namespace

Purpose purpose_of_reading(bool alone)
{
	if (likely(use_secondary_nodes == USE_NEVER && read_from_secondaries == READ_NEVER))
		return Purpose::Write;
	if (use_secondary_nodes == USE_ALWAYS)
		return Purpose::Read;
	return (alone || XactReadOnly) && !has_written() ? Purpose::Read : Purpose::Write;
}

const catalog::Node& node_for(GroupId group, Purpose purpose)
{
	if (likely(purpose == Purpose::Write))
		return catalog::get_primary(group);
	const bool always = use_secondary_nodes == USE_ALWAYS;
	const catalog::Node *secondary = choose_secondary(group, !always);
	if (secondary != nullptr)
		return *secondary;
	if (always || read_from_secondaries == READ_ALWAYS)
		raise_no_secondary(group);
	return catalog::get_primary(group);
}

void check_may_write()
{
	if (use_secondary_nodes == USE_ALWAYS)
		ereport(ERROR, (errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
						errmsg("cannot change data in a session that reads from secondaries"),
						errhint("Use a session with citus.use_secondary_nodes = never.")));
}

bool only_reads(const remote::Session *session)
{
	if (XactReadOnly || read_from_secondaries == READ_NEVER)
		return XactReadOnly || use_secondary_nodes == USE_ALWAYS;
	const catalog::Node *node = catalog::find_node(remote::node_id(session));
	return use_secondary_nodes == USE_ALWAYS ||
		   (node != nullptr && node->role != catalog::NodeRole::Primary);
}

void node_choice_init()
{
	DefineCustomEnumVariable(
		"citus.use_secondary_nodes",
		"Whether sessions read from the secondaries of citus.cluster_name.",
		"Such a session cannot change data. For servers and roles that only report.",
		&use_secondary_nodes, USE_NEVER, use_options, PGC_SU_BACKEND, 0, nullptr, nullptr, nullptr);
	DefineCustomEnumVariable(
		"citus.read_from_secondaries",
		"Whether reads go to registered secondaries that are fresh enough, in turn.",
		"It concerns statements outside of transaction blocks and transactions that are READ ONLY. "
		"prefer takes the primary where no secondary is fresh, always fails then.",
		&read_from_secondaries, READ_NEVER, read_options, PGC_USERSET, 0, nullptr, nullptr,
		nullptr);
	DefineCustomIntVariable(
		"citus.max_secondary_lag", "How old what a secondary shows may be.",
		"Secondaries that lag further behind are passed over by citus.read_from_secondaries. Lag "
		"is looked at once a second.",
		&max_secondary_lag, 10000, 0, INT_MAX, PGC_USERSET, GUC_UNIT_MS, nullptr, nullptr, nullptr);
}

} // namespace civitas::txn
