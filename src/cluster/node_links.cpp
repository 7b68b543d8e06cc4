/*
 * node_links.cpp: other nodes learn of a change of pg_dist_node, or later; the change does not depend on them.
 *
 * A link is a session to another node that lives beside the transaction that changes nodes: it pauses traffic there
 * (pause_on_links()), and is told the new rows after the local commit:
 *
 *     change      links are opened to all nodes that answer; the rows change here
 *     pre-commit  the rows get a version; metadatasynced says who has a link
 *     commit      the rows leave on every link, nobody is waited for
 *     locks gone  the answers are awaited; where there is none the daemon is told
 *
 * So any number of nodes may be down, be frozen, or still be in recovery: what they missed the daemon brings them (sync_nodes()).
 * Statements of the same transaction that need the other nodes anyway (DDL) tell them the rows first, in the distributed transaction.
 *
 * A version is the time of the change in microseconds, and later than the one before. A node takes no rows older than
 * those that it has, so it does not matter in which order they arrive.
 */
#include "civitas/catalog/relations.h"
#include "civitas/catalog/writes.h"
#include "civitas/cluster/cluster.h"
#include "civitas/pg/clock.h"
#include "civitas/pg/sql_text.h"
#include "civitas/pg/str.h"
#include "civitas/pg/subtransaction.h"
#include "civitas/pg/vec.h"
#include "civitas/txn/transaction.h"
#include "node_changes.h"

CIVITAS_PG_BEGIN
#include "access/xact.h"
#include "access/xlog.h"
#include "storage/lmgr.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
CIVITAS_PG_END

namespace civitas::cluster {

void (*nodes_changed_hook)(bool someone_behind);

namespace {

/* What a node has to answer to the opening of a link, and to the rows after the commit, ms. */
constexpr int OPEN_TIMEOUT = 3000;
constexpr int ANSWER_TIMEOUT = 1000;
constexpr char DEMOTED[] = "-demoted";

struct Link
{
	NodeId node_id;
	const char *host; /* that was tried */
	int32 port;
	remote::Session *session; /* null: it did not answer */
	const char *reason;		  /* then */
	bool was_synced;		  /* metadatasynced before this transaction */
};
CIVITAS_SERVER_STATE(Link);

/* In TopTransactionContext. */
struct Change
{
	pg::Vec<Link> links;
	const char *rows; /* what is sent after the commit; null: nothing changed */
	bool someone_behind;
};

Change *change;	   /* null: this transaction changes no nodes */
bool rows_changed; /* ... and has changed rows, perhaps rolled back to a savepoint since */
/* What waits for its answer once the locks are gone. */
bool answers_due;
/* Another node's rows came in this transaction. */
bool rows_taken;

Change& this_change()
{
	if (change == nullptr)
	{
		MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);
		change = static_cast<Change *>(palloc0(sizeof(Change)));
		change->links = pg::Vec<Link>(TopTransactionContext);
		MemoryContextSwitchTo(old);
		txn::watch_lock_release();
	}
	return *change;
}

void close_link(Link& link)
{
	if (link.session != nullptr)
		remote::close(link.session);
	link.session = nullptr;
}

/* The caller gives up on the node: not an error of what the caller does. */
void give_up(Link& link, const ErrorData *error)
{
	if (error->sqlerrcode == ERRCODE_QUERY_CANCELED ||
		error->sqlerrcode == ERRCODE_ADMIN_SHUTDOWN || error->sqlerrcode == ERRCODE_OUT_OF_MEMORY)
		ReThrowError(const_cast<ErrorData *>(error));
	link.reason = MemoryContextStrdup(TopTransactionContext, error->message);
	close_link(link);
}

template <typename Body> void try_link(Link& link, Body&& body)
{
	if (link.session == nullptr && link.reason != nullptr)
		return;
	ErrorData *error = pg::error_of_subtransaction(body);
	if (error != nullptr)
		give_up(link, error);
}

bool is_demoted(const char *host)
{
	const size_t length = strlen(host);
	const size_t suffix = sizeof(DEMOTED) - 1;
	return length > suffix && strcmp(host + length - suffix, DEMOTED) == 0;
}

Link *find_link(NodeId id)
{
	if (change == nullptr)
		return nullptr;
	for (Link& link : change->links)
		if (link.node_id == id)
			return &link;
	return nullptr;
}

/* The link of a node that leads to where the node is now, made where there is none. */
Link *link_for(const catalog::Node& node)
{
	Link *known = find_link(node.node_id);
	if (known != nullptr && known->port == node.port && strcmp(known->host, node.name) == 0)
		return known;
	if (known == nullptr)
	{
		this_change().links.push(
			{node.node_id, nullptr, 0, nullptr, nullptr, node.metadata_synced});
		known = find_link(node.node_id);
	}
	close_link(*known);
	known->host = MemoryContextStrdup(TopTransactionContext, node.name);
	known->port = node.port;
	known->reason = is_demoted(node.name) ? "it was taken out of service" : nullptr;
	return known;
}

void connect_links(std::span<const catalog::Node> nodes)
{
	for (const catalog::Node& node : nodes)
	{
		Link *link = link_for(node);
		if (link->session != nullptr || link->reason != nullptr)
			continue;
		try_link(*link, [&] {
			const remote::Endpoint endpoint = txn::endpoint_of(node, txn::Pauses::Ignored);
			link->session = remote::find_idle(endpoint);
			if (link->session == nullptr)
				link->session = remote::start_connect(endpoint);
			remote::set_claimed(link->session, true);
			txn::set_beside(link->session, true);
		});
	}
}

void begin_on(Link& link)
{
	if (link.session == nullptr ||
		PQtransactionStatus(remote::connection(link.session)) == PQTRANS_INTRANS)
		return;
	try_link(link, [&] {
		if (remote::connected_at(link.session) == 0)
		{
			/* A failed connect closes the session itself. */
			remote::Session *connecting = link.session;
			link.session = nullptr;
			remote::finish_connect(connecting);
			link.session = connecting;
		}
		PGresult *result = remote::query(
			link.session, "BEGIN TRANSACTION ISOLATION LEVEL READ COMMITTED READ WRITE; "
						  "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; "
						  "SELECT 1");
		remote::release(result);
	});
}

/* Opens what links there can be to the other nodes. */
void open_links(NodeId except)
{
	pg::Vec<catalog::Node> nodes;
	for (const catalog::Node& node : catalog::other_metadata_nodes())
		if (node.node_id != except)
			nodes.push(node);
	const int level = NewGUCNestLevel();
	if (remote::connection_timeout_ms() > OPEN_TIMEOUT)
		set_config_option("citus.node_connection_timeout", psprintf("%d", OPEN_TIMEOUT),
						  PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	connect_links(nodes.span());
	for (const catalog::Node& node : nodes)
		begin_on(*find_link(node.node_id));
	AtEOXact_GUC(true, level);
}

/* A later version than the last one; in the catalog. */
const char *next_version()
{
	return pg::sql_text("UPDATE pg_dist_node_metadata SET metadata = metadata || "
						"jsonb_build_object('nodes_version', "
						"greatest(coalesce((metadata ->> 'nodes_version')::bigint, 0) + 1, "
						"(extract(epoch from clock_timestamp()) * 1e6)::bigint)) RETURNING "
						"metadata ->> 'nodes_version'");
}

/* metadatasynced: which nodes will have been told when this transaction is over, as far as can be known. */
void note_who_is_told(bool at_commit)
{
	pg::Vec<catalog::Node> changed;
	for (const catalog::Node& node : catalog::other_metadata_nodes())
	{
		const Link *link = find_link(node.node_id);
		const bool told = link != nullptr && link->session != nullptr;
		change->someone_behind = change->someone_behind || !told;
		if (told != node.metadata_synced)
			changed.push(node);
		if (!at_commit || link == nullptr || told == link->was_synced)
			continue;
		if (told)
			ereport(LOG, (errmsg("node %s:%d is told of changes of the nodes that it missed",
								 node.name, node.port)));
		else
			ereport(LOG, (errmsg("node %s:%d will be told later of a change of the nodes",
								 node.name, node.port),
						  errdetail_internal("%s", link->reason)));
	}
	for (catalog::Node& node : changed)
	{
		node.metadata_synced = !node.metadata_synced;
		catalog::update_node(node);
	}
}

/* Who is no active node any more is told nothing. */
void close_links_of_others()
{
	for (Link& link : change->links)
	{
		bool active = false;
		for (const catalog::Node& node : catalog::other_metadata_nodes())
			active = active || node.node_id == link.node_id;
		if (!active)
			close_link(link);
	}
}

/* Before the commit. */
void prepare_to_tell(bool prepare)
{
	if (!rows_changed)
		return;
	if (prepare)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("a transaction that changes nodes cannot be prepared")));
	this_change();
	PushActiveSnapshot(GetTransactionSnapshot());
	close_links_of_others();
	open_links(0);
	note_who_is_told(true);
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);
	change->rows = psprintf("%s; COMMIT", node_rows_sql());
	MemoryContextSwitchTo(old);
	PopActiveSnapshot();
}

/* After the commit, or in an abort; the locks are still held. Must not raise. */
void tell(bool committed)
{
	if (change == nullptr)
		return;
	for (Link& link : change->links)
	{
		if (link.session == nullptr)
			continue;
		if (!committed || change->rows == nullptr || remote::busy(link.session) ||
			remote::failed(link.session) || !remote::send_quietly(link.session, change->rows))
		{
			change->someone_behind = true;
			close_link(link);
		}
	}
	answers_due = committed && change->rows != nullptr;
	if (!answers_due)
		change = nullptr;
	rows_changed = false;
}

bool answered(Link& link, int timeout_ms)
{
	PGresult *error = nullptr;
	char tag[64];
	const bool good = remote::finish_quietly(link.session, timeout_ms, timeout_ms, &error, tag) &&
					  error == nullptr && strcmp(tag, "COMMIT") == 0;
	PQclear(error);
	return good;
}

/* Must not raise. */
void await_answers(bool committed)
{
	if (!answers_due)
		return;
	answers_due = false;
	Change *told = change;
	change = nullptr;
	const TimestampTz end = TimestampTzPlusMilliseconds(pg::monotonic_now(), ANSWER_TIMEOUT);
	for (Link& link : told->links)
	{
		if (link.session == nullptr)
			continue;
		const long left = TimestampDifferenceMilliseconds(pg::monotonic_now(), end);
		if (answered(link, left < 10 ? 10 : static_cast<int>(left)))
		{
			txn::set_beside(link.session, false);
			remote::set_claimed(link.session, false);
			continue;
		}
		told->someone_behind = true;
		close_link(link);
	}
	if (nodes_changed_hook != nullptr)
		nodes_changed_hook(told->someone_behind);
}

/* Rows that this transaction has changed, for a node that it sends something else. */
const char *untold_rows()
{
	/* The command may be about to drop what this node has no placements of any more. */
	return rows_changed ? node_rows_sql(Stale::Kept) : nullptr;
}

void (*previous_end_hook)(bool committed);

void transaction_ended(bool committed)
{
	if (previous_end_hook != nullptr)
		previous_end_hook(committed);
	if (rows_taken && committed && nodes_changed_hook != nullptr)
		nodes_changed_hook(false);
	rows_taken = false;
	tell(committed);
}

/* The nodes whose version of the rows is not the newest. */
struct Survey
{
	int behind;		/* or perhaps: they do not answer */
	bool some_can;	/* ... some of them can be told now */
	bool not_noted; /* ... some do not answer, and metadatasynced does not say so */
};

/* Asks all of them, under no lock. */
Survey survey_nodes()
{
	constexpr char SQL[] =
		"SELECT metadata ->> 'nodes_version' FROM pg_catalog.pg_dist_node_metadata "
		"WHERE NOT pg_catalog.pg_is_in_recovery()";
	const char *own =
		pg::sql_text("SELECT metadata ->> 'nodes_version' FROM pg_dist_node_metadata");
	pg::Vec<NodeTask> tasks;
	for (const catalog::Node& node : catalog::other_metadata_nodes())
	{
		NodeTask task = {};
		task.node = node;
		task.sql = SQL;
		task.ignores_pauses = true;
		if (!is_demoted(node.name))
			tasks.push(task);
	}
	run_tasks({tasks.data(), static_cast<size_t>(tasks.size())}, true);
	Survey survey = {};
	for (const NodeTask& task : tasks)
	{
		const bool writable = task.success && (task.result[0] != '\0' || own == nullptr);
		const bool newest = writable && task.node.metadata_synced &&
							(own == nullptr || strcmp(task.result, own) == 0);
		if (newest)
			continue;
		survey.behind++;
		survey.some_can = survey.some_can || writable;
		survey.not_noted = survey.not_noted || (!writable && task.node.metadata_synced);
	}
	return survey;
}

} // namespace

char *node_rows_sql(Stale stale)
{
	pg::Str sql;
	sql.raw("SELECT citus_internal.take_nodes(").raw(next_version()).raw(", ");
	sql.raw(pg::sql_text("SELECT format('ARRAY[%s]::pg_catalog.pg_dist_node[], ', "
						 "string_agg(quote_literal(n::text), ', ' "
						 "ORDER BY n.nodeid)) FROM pg_dist_node n"));
	sql.raw(pg::sql_text(psprintf(
		"SELECT quote_literal(coalesce(array_agg(DISTINCT groupid), '{}'::int[])::text) FROM "
		"(SELECT groupid FROM pg_dist_placement %s) g",
		stale == Stale::Kept ? "UNION SELECT groupid FROM pg_dist_node" : "")));
	return sql.raw(")").c_str();
}

void tell_nodes_at_commit()
{
	this_change();
	rows_changed = true;
	open_links(0);
	note_who_is_told(false);
}

bool has_link(const catalog::Node& node)
{
	open_links(0);
	const Link *link = find_link(node.node_id);
	return link != nullptr && link->session != nullptr;
}

void pause_everywhere(const catalog::Node& paused, bool force, int32 cooldown)
{
	open_links(paused.node_id);
	const char *sql = psprintf("SELECT citus_internal.pause_group(%d, %s, %d)", paused.group_id,
							   force ? "true" : "false", cooldown);
	for (Link& link : this_change().links)
		if (link.session != nullptr && link.node_id != paused.node_id)
			try_link(link, [&] { remote::send_simple(link.session, sql); });
	txn::pause_group(paused.group_id, force, cooldown);
	for (Link& link : this_change().links)
		if (link.session != nullptr && remote::busy(link.session))
			try_link(link, [&] { remote::drain(link.session); });
}

int sync_nodes()
{
	if (!catalog::is_coordinator() || RecoveryInProgress())
		return 0;
	const Survey survey = survey_nodes();
	if (!survey.some_can && !survey.not_noted)
		return survey.behind;
	/* Whoever changes nodes now tells them itself. */
	if (!ConditionalLockRelationOid(catalog::relation_oid(catalog::Catalog::Node),
									ShareUpdateExclusiveLock))
		return survey.behind;
	tell_nodes_at_commit();
	return survey.behind;
}

void node_links_init()
{
	previous_end_hook = txn::transaction_end_hook;
	txn::transaction_end_hook = transaction_ended;
	txn::before_commit_hook = prepare_to_tell;
	txn::locks_released_hook = await_answers;
	txn::untold_nodes_hook = untold_rows;
}

CIVITAS_PG_BEGIN

PG_FUNCTION_INFO_V1(citus_internal_nodes_taken);
PGDLLEXPORT Datum citus_internal_nodes_taken(PG_FUNCTION_ARGS)
{
	rows_taken = true;
	PG_RETURN_VOID();
}

CIVITAS_PG_END

} // namespace civitas::cluster
